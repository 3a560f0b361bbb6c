"""The pages of ``docs/`` that are made from the rules and tables themselves: ``--markdown PAGE`` prints one."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from backup_standard.cli import tokens
from backup_standard.cli.catalogue import CHAPTERS, catalogue, chapter_of, remedy_of
from backup_standard.collect import sudoers
from backup_standard.standard.policy import CLAUSES, SECTIONS, Clause
from backup_standard.standard.privileges import RELEASES
from backup_standard.standard.wording import Rule


def page(name: str) -> str:
    """The text of ``docs/NAME.md``; KeyError for another page."""
    made = f"<!-- made by: backup-standard standard --markdown {name} > docs/{name}.md; do not edit -->"
    title, *lines = PAGES[name]()
    return "\n".join((title, "", made, "", *lines)).rstrip()


def _standard() -> Iterator[str]:
    rules = catalogue()
    yield "# The standard"
    yield "`must` rules decide whether a site is compliant, `should` rules only advise. Tags: `minimum` is what the"
    yield "policy calls its minimum, `standard` the rest of its text, `added` what this suite demands beyond it."
    yield ""
    yield from _traceability(rules)
    yield from _rules(rules)


def _traceability(rules: tuple[Rule, ...]) -> Iterator[str]:
    there = {rule.id for rule in rules}
    yield from ("## From the policy to the rules", "")
    yield "Clauses are numbered by the policy's sections in their order; the words are ours."
    yield from ("", "| clause | the policy demands | rules |", "|---|---|---|")
    section = ""
    for clause in CLAUSES:
        first = clause.number.partition(".")[0]
        if first != section:
            section = first
            yield f"| **{section}** | **{SECTIONS[section]}** | |"
        yield f"| {clause.number} | {clause.text} | {_judged_by(clause, there)} |"
    named = {one for clause in CLAUSES for one in clause.rules}
    yield ""
    if beyond := sorted(there - named):
        yield f"Beyond the policy's text: {', '.join(beyond)}."
    if unchecked := sorted(named - there):
        yield f"Not checked yet, because there is no such rule yet: {', '.join(unchecked)}."
    yield ""


def _judged_by(clause: Clause, there: set[str]) -> str:
    return ", ".join(one if one in there else f"{one} (not checked yet)" for one in clause.rules)


def _rules(rules: tuple[Rule, ...]) -> Iterator[str]:
    yield "## The rules"
    chapter = ""
    for rule in rules:
        if chapter_of(rule) != chapter:
            chapter = chapter_of(rule)
            yield from ("", f"### {CHAPTERS[chapter]} ({chapter})")
        yield from ("", f"**{rule.id}** ({rule.level}, {rule.tag}): {_plain(rule.title)}.", "")
        yield f"Why: {_plain(rule.rationale)}"
        remedy = remedy_of(rule)
        if remedy:
            yield from ("", *(f"    {line}" for line in remedy.splitlines()))


def _plain(text: str) -> str:
    """Text in which Markdown sees no marks."""
    return text.replace("<", "&lt;").replace("*", "\\*")


def _tokens() -> Iterator[str]:
    yield "# Tokens with least privilege"
    yield "A token has what both its user and the token itself were given: each command below gives it to both."
    yield "`backup-standard standard --token --inventory FILE` and `--drill-token` print the same with a client's"
    yield "names."
    for title, make in (("The audit token", tokens.audit_token), ("The drill token", tokens.drill_token)):
        for major, _ in reversed(RELEASES):
            yield from ("", f"## {title}, Proxmox VE {major}", "", "```sh", make((major, 99)), "```")


def _node_account() -> Iterator[str]:
    yield "# An account on the nodes that is not root"
    yield "What the audit reads on a node it may read as an account of its own, through sudo. The sudoers file allows"
    yield "the audit's commands with their arguments and nothing else; everything in it only reads. It needs sudo"
    yield "1.9.10 or later, as Proxmox VE 8 and 9 have it (`apt install sudo`); on Proxmox VE 7 the audit logs in as"
    yield "root, or goes without SSH. Paths with blanks or other unusual signs are refused; what lies there is unknown."
    yield ""
    yield "In the inventory: `nodes: {pve1: {ssh: backup-audit@HOST}}`. Where sudo refuses a command, because the file"
    yield "is older than this suite for instance, the rules that need the node are unknown and name that command."
    yield ""
    yield "Print the file with `backup-standard standard --sudoers`, and make the account, on each node as root:"
    yield from ("", "```sh", *sudoers.commands(), "```", "", "The file:", "", "```", sudoers.sudoers().rstrip(), "```")


PAGES: dict[str, Callable[[], Iterator[str]]] = {
    "standard": _standard,
    "tokens": _tokens,
    "node-account": _node_account,
}
"""The pages by the name of their file; the first line of each is its title."""
