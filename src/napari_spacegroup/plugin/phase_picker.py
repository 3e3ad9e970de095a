"""A searchable list of the phases that come along, for every dock that wants a crystal."""

from __future__ import annotations

from qtpy.QtCore import Qt, Signal
from qtpy.QtGui import QKeyEvent, QMouseEvent
from qtpy.QtWidgets import QLineEdit, QListWidget, QListWidgetItem, QVBoxLayout, QWidget

from .describe import level_symbols

PLACEHOLDER = "Search: name, mineral, elements, Pnma, 225, cubic…"


class PhasePicker(QWidget):
    """Search the library by words, and pick a phase by a click or the return key.

    Parameters
    ----------
    rows
        Of the list.
    folds
        Whether the list goes away when a phase is picked, until words are typed again.
    """

    picked = Signal(str)
    """The name of a phase."""

    def __init__(self, rows: int = 8, *, folds: bool = False) -> None:
        super().__init__()
        self._folds = folds
        self.search = _SearchEdit()
        self.search.setPlaceholderText(PLACEHOLDER)
        self.search.setToolTip(
            "Every word must fit: an element (Fe), a name, mineral or formula, a structure type, "
            "a space group by number or symbol, a crystal system"
        )
        self.search.setClearButtonEnabled(True)
        self.list = QListWidget()
        self.list.setTextElideMode(Qt.TextElideMode.ElideRight)
        self.list.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self.list.setUniformItemSizes(True)
        column = QVBoxLayout(self)
        column.setContentsMargins(0, 0, 0, 0)
        column.setSpacing(4)
        column.addWidget(self.search)
        column.addWidget(self.list)
        self.search.textChanged.connect(self._fill)
        self.search.returnPressed.connect(self._pick_first)
        self.search.stepped.connect(self._step)
        self.search.entered.connect(self.list.show)
        self.list.itemClicked.connect(self._pick)
        self.list.itemActivated.connect(self._pick)
        self._fill("")
        height = max(self.list.sizeHintForRow(0), 12)
        self.list.setFixedHeight(rows * height + 2 * self.list.frameWidth() + 2)

    def names(self) -> list[str]:
        """Return the names that are listed."""
        items = (self.list.item(row) for row in range(self.list.count()))
        found = (item.data(Qt.ItemDataRole.UserRole) for item in items)
        return [str(name) for name in found if name]

    def mark(self, name: str) -> None:
        """Show a phase as the chosen one, where it is listed."""
        names = self.names()
        if name in names:
            self.list.setCurrentRow(names.index(name))
            self.list.scrollToItem(self.list.currentItem())
        else:
            self.list.clearSelection()

    def _fill(self, text: str) -> None:
        from ..crystal.library import find_phases

        words = text.split()
        elements = [word for word in words if is_element(word)]
        rest = " ".join(word for word in words if word not in elements)
        found = find_phases(rest, elements=elements)
        # The element itself before its compounds.
        found = tuple(sorted(found, key=lambda entry: entry.name != text.strip()))
        self.list.show()
        self.list.clear()
        symbols = level_symbols("space_group")
        for entry in found:
            mineral = f", {entry.mineral}" if entry.mineral else ""
            group = f"{symbols[entry.space_group - 1]} ({entry.space_group})"
            item = QListWidgetItem(f"{entry.name}   {group}{mineral}")
            item.setData(Qt.ItemDataRole.UserRole, entry.name)
            item.setToolTip(f"{entry.formula}{mineral}, {group}\n{entry.reference}")
            self.list.addItem(item)
        if not found:
            item = QListWidgetItem("No phase fits; open a CIF file instead")
            item.setFlags(Qt.ItemFlag.NoItemFlags)
            self.list.addItem(item)

    def _pick(self, item: QListWidgetItem) -> None:
        name = item.data(Qt.ItemDataRole.UserRole)
        if name:
            self.list.setVisible(not self._folds)
            self.picked.emit(str(name))

    def _pick_first(self) -> None:
        item = self.list.currentItem() or self.list.item(0)
        if item is not None:
            self._pick(item)

    def _step(self, step: int) -> None:
        self.list.show()
        row = min(max(self.list.currentRow() + step, 0), self.list.count() - 1)
        self.list.setCurrentRow(row)


def is_element(word: str) -> bool:
    """Return whether a word is the symbol of an element, with its capital."""
    import gemmi

    return (
        word[:1].isupper()
        and gemmi.Element(word).atomic_number > 0
        and (gemmi.Element(word).name == word)
    )


class _SearchEdit(QLineEdit):
    """A line whose arrow keys move the list below."""

    stepped = Signal(int)
    entered = Signal()

    def mousePressEvent(self, event: QMouseEvent) -> None:  # noqa: N802
        """Say that the list is wanted."""
        self.entered.emit()
        super().mousePressEvent(event)

    def keyPressEvent(self, event: QKeyEvent) -> None:  # noqa: N802
        """Hand up and down over."""
        steps = {Qt.Key.Key_Down: 1, Qt.Key.Key_Up: -1}
        step = steps.get(Qt.Key(event.key())) if event.key() in steps else None
        if step is not None:
            self.stepped.emit(step)
            return
        super().keyPressEvent(event)
