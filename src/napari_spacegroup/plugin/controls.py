"""Small widgets that the docks share, each bound both ways to a field of an evented state."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from qtpy.QtCore import QSize, Qt
from qtpy.QtGui import QFontMetrics, QPainter, QPaintEvent
from qtpy.QtWidgets import QComboBox, QLabel, QSizePolicy, QStyle, QStyleOptionComboBox, QWidget

from .state import Choice


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
