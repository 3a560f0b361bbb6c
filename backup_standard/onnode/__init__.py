"""What runs on a node, sent along over SSH: reads one archive from its standard input and tells whether it is whole.

Only the standard library of Python 3.9, and the node's own ``zstd`` or ``lzop``; nothing is installed, no file is
written. These modules import nothing but each other: :mod:`backup_standard.collect.reading` sends them as text.
"""
