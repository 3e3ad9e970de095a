"""Small widgets that the docks share, each bound both ways to a field of an evented state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import (
    QComboBox,
    QFrame,
    QGridLayout,
    QInputDialog,
    QLabel,
    QProgressBar,
    QPushButton,
    QScrollArea,
    QSizePolicy,
    QStyle,
    QStyleOptionComboBox,
    QVBoxLayout,
    QWidget,
)

from .state import Choice

CLUSTER_TIP = "Address of a dask scheduler"


class Bindings:
    """Connections to signals that outlive the widget; :meth:`release` cuts them all."""

    def __init__(self) -> None:
        self._pairs: list[tuple[Any, Callable[..., Any]]] = []

    def connect(self, signal: Any, slot: Callable[..., Any]) -> None:
        """Connect, and remember it."""
        signal.connect(slot)
        self._pairs.append((signal, slot))

    def release(self, *_: Any) -> None:
        """Disconnect everything; calling twice is harmless."""
        pairs, self._pairs = self._pairs, []
        for signal, slot in pairs:
            try:
                signal.disconnect(slot)
            except (ValueError, TypeError, RuntimeError):
                continue  # the sender is gone already


class ProgressLine(QProgressBar):
    """How much of a job is done, without words; empty while nobody knows.

    Qt's own sign for an unknown end moves thirty times a second, and with every step the whole
    window is drawn again, which without a graphics card takes its time from the job.
    """

    def __init__(self, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self.setTextVisible(False)
        self.show_share(0, 0)

    def show_share(self, done: int, total: int) -> None:
        """Show ``done`` of ``total``; a total of 0 is one that nobody knows."""
        # Qt draws a changed bar there and then, and the window once more for all the rest.
        self.setUpdatesEnabled(False)
        self.setRange(0, max(total, 1))
        self.setValue(min(done, total))
        self.setUpdatesEnabled(True)


class ElidedLabel(QLabel):
    """One line that is cut with an ellipsis where it is too long; the tooltip has it whole."""

    def __init__(self, text: str = "", parent: QWidget | None = None) -> None:
        super().__init__(text, parent)
        self.setSizePolicy(QSizePolicy.Policy.Ignored, QSizePolicy.Policy.Preferred)
        self.setTextFormat(Qt.TextFormat.PlainText)

    def setText(self, text: str) -> None:  # noqa: N802
        """Show a text."""
        super().setText(text)
        self.setToolTip(text)

    def minimumSizeHint(self) -> QSize:  # noqa: N802
        """Let the layout make it as narrow as it likes."""
        return QSize(20, super().minimumSizeHint().height())

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw what fits."""
        painter = QPainter(self)
        metrics = QFontMetrics(self.font())
        text = metrics.elidedText(self.text(), Qt.TextElideMode.ElideRight, self.width())
        painter.setPen(self.palette().color(self.foregroundRole()))
        painter.drawText(self.rect(), int(self.alignment()), text)
        painter.end()


class ChoiceBox(QComboBox):
    """A combo box of :class:`~.state.Choice` entries, bound to two fields of a state.

    Parameters
    ----------
    state
        Evented; ``names`` holds the entries and ``name`` the key of the chosen one.
    name
        Such as ``"layer"``.
    bindings
        Where the connections are kept.
    placeholder
        What an empty box says.
    """

    def __init__(self, state: Any, name: str, bindings: Bindings, placeholder: str) -> None:
        super().__init__()
        self._state, self._name = state, name
        self._placeholder = placeholder
        self.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToMinimumContentsLengthWithIcon)
        self.setMinimumContentsLength(8)
        self.setSizePolicy(QSizePolicy.Policy.Expanding, QSizePolicy.Policy.Fixed)
        self.view().setTextElideMode(Qt.TextElideMode.ElideMiddle)
        bindings.connect(getattr(state.events, name + "s"), self._fill)
        bindings.connect(getattr(state.events, name), self._select)
        self.activated.connect(self._choose)
        self._fill()

    def _fill(self, *_: Any) -> None:
        choices: tuple[Choice, ...] = getattr(self._state, self._name + "s")
        self.clear()
        for index, choice in enumerate(choices):
            self.addItem(choice.label, choice.key)
            self.setItemData(index, choice.problem or choice.label, Qt.ItemDataRole.ToolTipRole)
            item = self.model().item(index)
            item.setEnabled(not choice.problem)
        self._select()

    def _select(self, *_: Any) -> None:
        self.setCurrentIndex(self.findData(getattr(self._state, self._name)))
        chosen = self._state.chosen(self._name)
        self.setToolTip(chosen.label if chosen is not None else self._placeholder)

    def _choose(self, index: int) -> None:
        setattr(self._state, self._name, self.itemData(index))

    def paintEvent(self, event: QPaintEvent) -> None:  # noqa: N802, ARG002
        """Draw the chosen label, cut in the middle where it is too long."""
        painter = QPainter(self)
        option = QStyleOptionComboBox()
        self.initStyleOption(option)
        style = self.style()
        style.drawComplexControl(QStyle.ComplexControl.CC_ComboBox, option, painter, self)
        field = style.subControlRect(
            QStyle.ComplexControl.CC_ComboBox, option, QStyle.SubControl.SC_ComboBoxEditField, self
        )
        text = self.currentText() or self._placeholder
        metrics = QFontMetrics(self.font())
        option.currentText = metrics.elidedText(
            text, Qt.TextElideMode.ElideMiddle, field.width() - 8
        )
        style.drawControl(QStyle.ControlElement.CE_ComboBoxLabel, option, painter, self)
        painter.end()


class PlaceBox(ChoiceBox):
    """Where jobs run; its last entry asks for the address of a scheduler.

    Parameters
    ----------
    state
        Evented, with ``places`` and ``place``.
    bindings
        Where the connections are kept.
    """

    def __init__(self, state: Any, bindings: Bindings) -> None:
        super().__init__(state, "place", bindings, "")

    def _fill(self, *_: Any) -> None:
        super()._fill()
        self.blockSignals(True)
        self.addItem("Cluster…", "")
        self.setItemData(self.count() - 1, CLUSTER_TIP, Qt.ItemDataRole.ToolTipRole)
        self.blockSignals(False)
        self._select()

    def _choose(self, index: int) -> None:
        if self.itemData(index):
            super()._choose(index)
            return
        address, is_given = QInputDialog.getText(
            self, "Cluster", f"{CLUSTER_TIP}:", text="tcp://10.0.0.5:8786"
        )
        if is_given and address.strip():
            self._state.place = address.strip()
        self._select()


class MessageLabel(QLabel):
    """What a job says, or what to do next; an alert stands out, and nothing takes no room."""

    def __init__(self) -> None:
        super().__init__()
        self.setObjectName("hint")
        self.setWordWrap(True)
        self.setTextInteractionFlags(Qt.TextInteractionFlag.TextSelectableByMouse)

    def show_message(self, message: str, hint: str, *, is_alert: bool) -> None:
        """Show a message, or the hint where there is none."""
        text = f"⚠ {message}" if is_alert else message or hint
        self.setText(text)
        self.setVisible(bool(text))
        name = "alert" if is_alert else "hint"
        if self.objectName() != name:
            self.setObjectName(name)
            self.style().polish(self)


class ModelNote(QLabel):
    """Says that the model was chosen by itself, and for what; else takes no room.

    Parameters
    ----------
    state
        Evented, with ``model_note``.
    bindings
        Where the connections are kept.
    """

    def __init__(self, state: Any, bindings: Bindings) -> None:
        super().__init__()
        self.setObjectName("note")
        self.setWordWrap(True)
        self.setText(state.model_note)
        if not state.model_note:
            self.hide()
        bindings.connect(state.events.model_note, self._show)

    def _show(self, text: str) -> None:
        self.setText(text)
        self.setVisible(bool(text))


class FoldButton(QPushButton):
    """Shows and hides what most users never need.

    Parameters
    ----------
    title
        Of the button.
    content
        Hidden at first.
    tip
        What is in there.
    """

    def __init__(self, title: str, content: QWidget, tip: str) -> None:
        super().__init__()
        self._title, self._content = title, content
        self.setObjectName("fold")
        self.setToolTip(tip)
        self.setCheckable(True)
        self.toggled.connect(self._fold)
        self._fold(False)

    def _fold(self, is_open: bool) -> None:
        self.setText(f"{'▾' if is_open else '▸'} {self._title}")
        self._content.setVisible(is_open)


def add_row(grid: QGridLayout, row: int, title: str, widget: QWidget) -> QLabel:
    """Put a titled widget in a row of two columns; return its title."""
    label = QLabel(title)
    label.setBuddy(widget)
    grid.addWidget(label, row, 0)
    grid.addWidget(widget, row, 1)
    return label


def separator() -> QFrame:
    """Return a horizontal line."""
    line = QFrame()
    line.setFrameShape(QFrame.Shape.HLine)
    line.setFixedHeight(1)
    return line


def scroll(content: QWidget, outer: QWidget) -> None:
    """Fill a widget with content that scrolls up and down where there is little room."""
    area = QScrollArea()
    area.setWidgetResizable(True)
    area.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
    area.setWidget(content)
    column = QVBoxLayout(outer)
    column.setContentsMargins(0, 0, 0, 0)
    column.addWidget(area)


def hint_label(text: str = "", *, wraps: bool = True) -> QLabel:
    """Return a label for what explains rather than says."""
    label: QLabel = QLabel(text) if wraps else ElidedLabel(text)
    label.setObjectName("hint")
    label.setWordWrap(wraps)
    return label


def explain(widget: QWidget, problem: str, usual: str = "") -> None:
    """Enable a widget, or disable it and let its tooltip say why."""
    widget.setEnabled(not problem)
    widget.setToolTip(problem or usual)
