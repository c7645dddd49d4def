"""What Jinja makes of our templates, with fewer calls of functions for the same text: most of what a page costs is
calls, and of most of them nothing depends. Text is escaped as Jinja escapes it."""

import types
from functools import partial
from typing import Any

from jinja2 import nodes
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import Context, Macro, missing
from markupsafe import Markup, _escape_inner, escape

from actions.ground.domain_names import ENCODED_LABEL, readable

from .readable_names import shown

# Of a text that is HTML already. Markup's own way asks first whether it is one.
trusted = partial(str.__new__, Markup)
PLAIN = (types.FunctionType, types.MethodType, partial)


def escaped(value: object) -> str:
    """What stands for a value on a page, unless it is Markup, which stands for itself."""
    if type(value) is not str:
        return escape(shown(value))
    return _escape_inner(readable(value) if ENCODED_LABEL in value else value)


class LeanMacro(Macro):
    """A macro, called by `LeanContext` without looking for what ours have not: arguments called `caller`."""

    def __init__(self, *facts: Any):
        super().__init__(*facts)
        self._no_caller = self._environment.undefined("No caller defined", name="caller")

    def text(self, given: tuple, named: dict[str, Any]) -> str:
        arguments = [*given[: self._argument_count]]
        for name in self.arguments[len(given) :]:
            arguments += (named.pop(name, missing),)
        if self.caller:
            arguments += (named.pop("caller", None) or self._no_caller,)
        if self.catch_kwargs:
            arguments += (named,)
        elif named:
            raise TypeError(f"macro {self.name!r} takes no {', '.join(named)}")
        if self.catch_varargs:
            arguments += (given[self._argument_count :],)
        elif len(given) > self._argument_count:
            raise TypeError(f"macro {self.name!r} takes {self._argument_count} arguments")
        return self._func(*arguments)


class LeanContext(Context):
    """Calls functions and macros at once; and leaves to Jinja what wants to know more than its arguments."""

    def call(self, called: Any, /, *given: Any, _loop_vars: Any = None, _block_vars: Any = None, **named: Any) -> Any:
        kind = type(called)
        if kind is LeanMacro:
            text = called.text(given, named)
            return trusted(text) if self.eval_ctx.autoescape else text
        if hasattr(called if kind in PLAIN else called.__call__, "jinja_pass_arg"):
            return super().call(called, *given, _loop_vars=_loop_vars, _block_vars=_block_vars, **named)
        return called(*given, **named)


class LeanCode(CodeGenerator):
    """Compiles templates of a `TranslatedEnvironment`."""

    def __init__(self, *facts: Any, **options: Any):
        super().__init__(*facts, **options)
        self._sentences: dict[str, str] = {}

    def visit_Template(self, node: nodes.Template, frame: Frame | None = None) -> None:
        super().visit_Template(node, frame)
        self.writeline("Macro, escaped = environment.macro_class, environment.escaped")
        for sentence, name in self._sentences.items():
            self.writeline(f"{name} = {sentence}")

    def visit_Call(self, node: nodes.Call, frame: Frame, forward_caller: bool = False) -> None:
        """A function of ours that wants to know nothing of the template is called at once."""
        if forward_caller or node.dyn_args or node.dyn_kwargs or not self._is_plain(node.node, frame):
            super().visit_Call(node, frame, forward_caller=forward_caller)
            return
        self.visit(node.node, frame)
        self.write("(")
        for index, argument in enumerate((*node.args, *node.kwargs)):
            self.write(", " if index else "")
            self.visit(argument, frame)
        self.write(")")

    def _is_plain(self, called: nodes.Expr, frame: Frame) -> bool:
        if not isinstance(called, nodes.Name):
            return False
        reference = frame.symbols.find_ref(called.name)
        is_global = frame.symbols.find_load(reference) == ("resolve", called.name)
        function = self.environment.globals.get(called.name)
        return is_global and type(function) in PLAIN and not hasattr(function, "jinja_pass_arg")

    def visit_TemplateData(self, node: nodes.TemplateData, frame: Frame) -> None:
        """A trusted text within an expression is made once, below the functions that use it."""
        if frame.eval_ctx.volatile:
            super().visit_TemplateData(node, frame)
        else:
            text = repr(node.as_const(frame.eval_ctx))
            self.write(self._sentences.setdefault(text, f"text_{len(self._sentences)}"))

    def visit_Getattr(self, node: nodes.Getattr, frame: Frame) -> None:
        """Python's own attribute, and Jinja's (an item, or undefined) where there is none."""
        self.write("(found if (found := getattr(owner := ")
        self.visit(node.node, frame)
        self.write(f", {node.attr!r}, missing)) is not missing else environment.getattr(owner, {node.attr!r}))")

    def visit_Output(self, node: nodes.Output, frame: Frame) -> None:
        """What stands side by side goes out as one text."""
        if frame.require_output_check or frame.eval_ctx.volatile or not frame.eval_ctx.autoescape:
            super().visit_Output(node, frame)
            return
        pieces = self._pieces(node, frame)
        self.writeline(f"{frame.buffer}.extend((" if frame.buffer else "yield concat((", node)
        for piece in pieces:
            self._write_piece(piece, frame)
        self.write("))")

    def _pieces(self, node: nodes.Output, frame: Frame) -> list[str | nodes.Expr]:
        """Constants that stand side by side as one text, and what is known only when the page is made."""
        pieces: list[str | nodes.Expr] = []
        for child in node.nodes:
            try:
                piece = str(self._output_child_to_const(child, frame, self._make_finalize()))
            except Exception:  # noqa: BLE001 - as in Jinja: what cannot be computed now says so when it is shown
                piece = child
            if pieces and isinstance(piece, str) and isinstance(pieces[-1], str):
                pieces[-1] += piece
            else:
                pieces.append(piece)
        return pieces

    def _write_piece(self, piece: str | nodes.Expr, frame: Frame) -> None:
        if isinstance(piece, str):
            self.write(f"{piece!r}, ")
            return
        self.newline(piece)
        self.write("(value if type(value := ")
        self.visit(piece, frame)
        self.write(") is Markup else escaped(value)), ")
