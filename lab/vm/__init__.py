"""The lab's machinery with real virtual machines: images, the node, volumes, guests, archives, faults."""
