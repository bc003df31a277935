from types import SimpleNamespace

import pytest

from eisbach.chatting import Chat, open_chat
from eisbach.data.template_files import take_template, template_of
from eisbach.data.tokenizer import ByteTokenizer
from eisbach.sampling import Model, Reply, SamplingOptions


def _model(*answers, context=400):
    """Of bytes; says these answers in turn, and remembers the prompts."""
    said = iter(answers)
    prompts = []

    def generate(given, on_token, **options):
        prompts.append((bytes(given[0]).decode(), options["first_prompt"]))
        made = []
        for byte in next(said).encode():
            made.append(byte)
            if not on_token(0, byte):
                break
        return [SimpleNamespace(tokens=made, end="tokens")]

    config = SimpleNamespace(model=SimpleNamespace(context=context))
    engine = SimpleNamespace(config=config)
    model = Model(None, engine, ByteTokenizer(), ())
    model.__dict__["decoder"] = SimpleNamespace(generate=generate)
    return model, prompts


def _chat(model, **options):
    take_template(model.tokenizer, "chatml")
    template = template_of(model.tokenizer)
    return Chat(model, template, SamplingOptions(**options), "Be kind.")


def _shown(chat, text):
    shown = []
    return chat.answer(text, shown.append), "".join(shown)


def test_what_was_said_stands_before_a_question():
    model, prompts = _model("Hello<|im_end|>more", "Bye")
    chat = _chat(model, stops=("<|im_end|>",))
    assert _shown(chat, "Hi") == (Reply("Hello", 15, "stop"), "Hello")
    assert _shown(chat, "Go")[1] == "Bye"
    first = "<|im_start|>system\nBe kind.<|im_end|>\n"
    first += "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n"
    second = f"{first}Hello<|im_end|>\n"
    second += "<|im_start|>user\nGo<|im_end|>\n<|im_start|>assistant\n"
    assert [prompt for prompt, _ in prompts] == [first, second]
    # Another question has other draws.
    assert prompts[0][1] != prompts[1][1]


def test_a_reset_forgets_all_but_the_system():
    model, prompts = _model("a", "b")
    chat = _chat(model)
    _shown(chat, "Hi")
    chat.reset()
    _shown(chat, "Hi")
    assert prompts[0] == prompts[1]


def test_an_interrupt_ends_an_answer_and_keeps_what_was_said():
    model, _ = _model("Hello")
    chat = _chat(model)

    def interrupt(text):
        if text == "l":
            raise KeyboardInterrupt

    reply = chat.answer("Hi", interrupt)
    assert (reply.text, reply.end) == ("Hel", "interrupt")
    assert chat.messages[-1] == {"role": "assistant", "content": "Hel"}


def test_a_question_that_does_not_fit_is_taken_back():
    model, _ = _model("a", context=120)
    chat = _chat(model)
    with pytest.raises(ValueError, match=r"and the context 120 .*/reset"):
        _shown(chat, "x" * 100)
    assert len(chat.messages) == 1
    assert _shown(chat, "x")[1] == "a"


def test_what_ends_a_turn_is_a_stop():
    model, _ = _model()
    chat = open_chat(model, "chatml", SamplingOptions(stops=("User:",)))
    assert chat.options.stops == ("User:", "<|im_end|>")
    other, _ = _model()
    with pytest.raises(ValueError, match="no chat template"):
        open_chat(other, "auto", SamplingOptions())
