"""A conversation with a model, in the words of its own template."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from eisbach.data.chat_template import ChatTemplate
from eisbach.data.chats import chat_tokenizer, turn_ends
from eisbach.data.template_files import take_template, template_of
from eisbach.sampling import Model, Reply, SamplingOptions, generate

_Message = dict[str, str]


@dataclass
class Chat:
    """What was said so far, and who answers.

    Attributes:
      model: Its tokenizer reads the names of special tokens as these tokens.
      template: Writes the conversation.
      options: How answers are drawn.
      system: What stands before a conversation; empty: what the template says.
      messages: Each with `role` and `content`.
    """

    model: Model
    template: ChatTemplate
    options: SamplingOptions
    system: str = ""
    messages: list[_Message] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begins a conversation."""
        self.reset()

    def reset(self) -> None:
        """Forgets what was said."""
        self.messages = []
        if self.system:
            self.messages.append({"role": "system", "content": self.system})

    def answer(self, text: str, on_text: Callable[[str], None]) -> Reply:
        """Says something to the model; collective.

        An interrupt (Ctrl-C) ends the answer: what was said of it stays.

        Args:
          text: The user's message.
          on_text: Called with the answer as it comes.

        Raises:
          ValueError: The template refuses the conversation, or it has become
            longer than the context; the message is taken back.
        """
        said: list[str] = []

        def show(_: int, part: str) -> None:
            said.append(part)
            on_text(part)

        turn = len(self.messages)
        self.messages.append({"role": "user", "content": text})
        try:
            (reply,) = generate(
                self.model,
                [self._ids()],
                self.options,
                first=turn,
                on_text=show,
            )
        except KeyboardInterrupt:
            reply = Reply("".join(said), len(said), "interrupt")
        except BaseException:
            self.messages.pop()
            raise
        self.messages.append({"role": "assistant", "content": reply.text})
        return reply

    def _ids(self) -> list[int]:
        """The tokens of the conversation, up to where the model goes on."""
        text = self.template.render(self.messages, add_generation_prompt=True)
        ids = self.model.tokenizer.encode(text.encode()).tolist()
        context = self.model.engine.config.model.context
        if len(ids) >= context:
            raise ValueError(
                f"the conversation has {len(ids)} tokens, and the context "
                f"{context} (model.context); /reset begins a new one"
            )
        return ids


def open_chat(
    model: Model, template: str, options: SamplingOptions, *, system: str = ""
) -> Chat:
    """Begins a conversation.

    Args:
      model: That answers.
      template: `auto`, which takes that of the model's folder; `chatml`; or a
        path.
      options: How answers are drawn.
      system: What stands before a conversation.

    Raises:
      ValueError: There is no template.
    """
    tokenizer = chat_tokenizer(model.tokenizer)
    take_template(tokenizer, template)
    found = template_of(tokenizer)
    ends = dict.fromkeys([*model.ends, *turn_ends(tokenizer)])
    model = replace(model, tokenizer=tokenizer, ends=tuple(ends))
    # An end that is no token, as of a tokenizer of bytes, is a text.
    stops = [
        end for end in found.ends if len(tokenizer.encode(end.encode())) > 1
    ]
    options = replace(options, stops=(*options.stops, *stops))
    return Chat(model, found, options, system)
