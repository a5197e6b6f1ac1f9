"""Builds the tree of tables: stores values under keys, opens headers, and reports duplicates."""

from prerl_spec.codes import Code
from prerl_spec.errors import Diagnostic, Label, Span
from prerl_spec.language.document import Array, Entry, Invalid, Node, Table
from prerl_spec.language.spec import holds_list

Key = tuple[str, Span]


class Tables:
    """A tree under construction; `here` is the table that receives the next keys."""

    def __init__(self) -> None:
        self.root = Table(form="header")
        self.here = self.root
        self.diagnostics: list[Diagnostic] = []
        self._repeated = False
        """Inside the second body of a table defined twice: its keys are added without being reported as duplicates."""
        self._dotted_here: set[int] = set()
        self._adrift: Array | None = None
        """A list whose last item was opened with the wrong header: keys under that header are discarded."""

    def unreadable(self) -> None:
        """Records an unreadable header: keys that appear to be missing from the spec, or from the last table of a list, may
        be under it."""
        self.root.has_gap = True
        for entry in self.root.entries.values():
            if (
                isinstance(entry.value, Array)
                and entry.value.items
                and isinstance(last := entry.value.items[-1], Table)
            ):
                last.has_gap = True

    def begin_header(self) -> None:
        """Begins a header: until it has been parsed, the following keys are discarded."""
        self._repeated = False
        self._dotted_here = set()
        self.here = Table(form="header")

    def place(self, table: Table, keys: list[Key], node: Node) -> None:
        """Stores a value under a dotted key, reporting what conflicts with it."""
        *parents, (last, last_span) = keys
        for key, span in parents:
            entry = table.entries.get(key)
            if entry is None:
                child = Table(form="dotted", span=span)
                self._dotted_here.add(id(child))
                table.entries[key] = Entry(key, span, child)
                table = child
            elif isinstance(entry.value, Table) and (id(entry.value) in self._dotted_here or self._repeated):
                table = entry.value
            elif isinstance(entry.value, Table) and entry.value.form != "inline":
                self._twice(Code.DUPLICATE_TABLE, span, entry, f"table `{key}` is already defined")
                return
            elif isinstance(entry.value, Invalid):
                return
            else:
                self._twice(Code.DUPLICATE_KEY, span, entry, f"`{key}` already has a value")
                return
        there = table.get(last)
        if there is None or (isinstance(there, Invalid) and there.has_doubtful_key):
            table.entries[last] = Entry(last, last_span, node)
        elif not (self._repeated or isinstance(node, Invalid)):
            self._twice(Code.DUPLICATE_KEY, last_span, table.entries[last], f"duplicate key `{last}`")

    def _twice(self, code: Code, span: Span, first: Entry, message: str, caret: str = "") -> None:
        header = first.value.header if isinstance(first.value, Table) else None
        place = header or first.span
        labels = (Label(place, "first written here"),) if place else ()
        self.diagnostics.append(Diagnostic(code, message, span, caret=caret, labels=labels))

    def open(self, keys: list[Key], many: bool, header: Span) -> None:
        """Opens the table of a header: it receives the following keys."""
        *parents, (last, last_span) = keys
        table = self.root
        for key, span in parents:
            entry = table.entries.setdefault(key, Entry(key, span, Table(span=span)))
            node = entry.value
            if node is self._adrift:
                return
            if isinstance(node, Array) and node.of_headers:
                node = node.items[-1]
            if isinstance(node, Invalid):
                return
            if not isinstance(node, Table) or node.form == "inline":
                code = Code.DUPLICATE_TABLE if isinstance(node, Table) else Code.DUPLICATE_KEY
                self._twice(
                    code, header if code == Code.DUPLICATE_TABLE else span, entry, f"`{key}` already has a value"
                )
                return
            table = node
        there = table.entries.get(last)
        if many:
            self._open_item(table, there, last, last_span, header)
        elif there is None:
            self.here = Table(span=header, header=header, name=last_span, form="header")
            table.entries[last] = Entry(last, last_span, self.here)
        else:
            self._reopen(there, last_span, header, self._form(table, last))

    def _open_item(self, table: Table, entry: Entry | None, key: str, span: Span, header: Span) -> None:
        item = Table(span=header, header=header, name=span, form="header")
        if entry is None:
            table.entries[key] = Entry(key, span, Array([item], header, of_headers=True))
            self.here = item
        elif isinstance(entry.value, Array) and entry.value.of_headers:
            entry.value.items.append(item)
            self.here, self._adrift = item, None
        elif isinstance(entry.value, Table) and entry.value.form != "inline":
            message = f"`[[{key}]]` is a list of tables, but `[{key}]` is a table"
            self._twice(Code.TABLE_OR_LIST, span, entry, message, self._form(table, key))
            entry.value = Invalid(entry.value.span)  # unknown which one was meant, and which table owns later keys
        elif not isinstance(entry.value, Invalid):
            self._twice(Code.DUPLICATE_KEY, span, entry, f"`{key}` already has a value")

    def _form(self, holder: Table, key: str) -> str:
        """What to write where a key has a header of each form."""
        is_list = holds_list(key) if holder is self.root else None
        if is_list is None:
            return f"write `[{key}]` or `[[{key}]]` in both places"
        return (
            f"`{key}` is a list: write `[[{key}]]` in both places"
            if is_list
            else f"`{key}` is one table: write `[{key}]`"
        )

    def _reopen(self, entry: Entry, span: Span, header: Span, form: str) -> None:
        """A header whose table already exists: valid if only its children are defined so far."""
        node = entry.value
        if isinstance(node, Table) and node.form == "implicit":
            node.form, node.span, node.header, node.name = "header", header, header, span
            entry.span = span
            self.here = node
        elif isinstance(node, Table):
            self._twice(Code.DUPLICATE_TABLE, header, entry, f"table `{entry.key}` is defined twice")
            self.here, self._repeated = node, True
        elif isinstance(node, Array) and node.of_headers:
            message = f"`[{entry.key}]` is a table, but `[[{entry.key}]]` is a list of tables"
            self._twice(Code.TABLE_OR_LIST, span, entry, message, form)
            self._adrift = node
        elif not isinstance(node, Invalid):
            self._twice(Code.DUPLICATE_KEY, span, entry, f"`{entry.key}` already has a value")
