"""Chat templates of the common kinds, short, and who says what in them.

Each is a program in the manner of a family of models, with its habits: a token
that ends a turn and a line end behind it, one that ends a text and not a turn,
turns that must alternate, a system message that is put in where there is none,
thoughts that are dropped from earlier turns, ends that come with the next turn.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Kind:
    """A template.

    Attributes:
      text: The program.
      eos: `eos_token` of its tokenizer.
      end: Text of the token that ends a turn of the assistant.
      specials: Texts of the special tokens.
      more_ends: Tokens that end a turn beside `eos`.
    """

    text: str
    eos: str
    end: str
    specials: tuple[str, ...]
    more_ends: tuple[str, ...] = ()


CHATML = Kind(
    "{% if messages[0].role != 'system' %}"
    "{{ '<|im_start|>system\nBe kind.<|im_end|>\n' }}{% endif %}"
    "{% for m in messages %}"
    "{{ '<|im_start|>' ~ m.role ~ '\n' ~ m.content ~ '<|im_end|>\n' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}",
    "<|im_end|>",
    "<|im_end|>",
    ("<|im_start|>", "<|im_end|>"),
)
LLAMA3 = Kind(
    "{{ bos_token }}{% for m in messages %}"
    "{{ '<|start_header_id|>' ~ m.role ~ '<|end_header_id|>\n\n' }}"
    "{{ m.content | trim ~ '<|eot_id|>' }}{% endfor %}"
    "{% if add_generation_prompt %}"
    "{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}{% endif %}",
    "<|eot_id|>",
    "<|eot_id|>",
    ("<s>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"),
)
MISTRAL = Kind(
    "{{ bos_token }}"
    "{% if messages[0].role == 'system' %}"
    "{% set system = messages[0].content ~ '\n\n' %}"
    "{% set rest = messages[1:] %}"
    "{% else %}{% set system = '' %}{% set rest = messages %}{% endif %}"
    "{% for m in rest %}"
    "{% if (m.role == 'user') != (loop.index0 % 2 == 0) %}"
    "{{ raise_exception('Roles must alternate user and assistant') }}"
    "{% endif %}"
    "{% if m.role == 'user' %}"
    "{{ '[INST] ' ~ (system if loop.first else '') ~ m.content ~ '[/INST]' }}"
    "{% else %}{{ ' ' ~ m.content ~ eos_token }}{% endif %}"
    "{% endfor %}",
    "</s>",
    "</s>",
    ("<s>", "</s>", "[INST]", "[/INST]"),
)
GEMMA = Kind(
    "{{ bos_token }}{% for m in messages %}"
    "{% if m.role == 'system' %}"
    "{{ raise_exception('System role not supported') }}{% endif %}"
    "{% set role = 'model' if m.role == 'assistant' else m.role %}"
    "{{ '<start_of_turn>' ~ role ~ '\n' ~ m.content | trim }}"
    "{{ '<end_of_turn>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<start_of_turn>model\n' }}{% endif %}",
    "<eos>",
    "<end_of_turn>",
    ("<s>", "<eos>", "<start_of_turn>", "<end_of_turn>"),
)
QWEN3 = Kind(
    "{% set last = namespace(user=-1) %}"
    "{% for m in messages %}{% if m.role == 'user' %}"
    "{% set last.user = loop.index0 %}{% endif %}{% endfor %}"
    "{% for m in messages %}"
    "{% set said = m.content %}"
    "{% set thought = m.reasoning_content or '' %}"
    "{% if '</think>' in said %}"
    "{% set thought = said.split('</think>')[0].split('<think>')[-1] %}"
    "{% set said = said.split('</think>')[-1].lstrip('\n') %}{% endif %}"
    "{{ '<|im_start|>' ~ m.role ~ '\n' }}"
    "{% if m.role == 'assistant' and loop.index0 > last.user %}"
    "{{ '<think>\n' ~ thought.strip('\n') ~ '\n</think>\n\n' }}{% endif %}"
    "{{ said ~ '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and not enable_thinking %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}",
    "<|im_end|>",
    "<|im_end|>",
    ("<|im_start|>", "<|im_end|>"),
)
PHI3 = Kind(
    "{% for m in messages %}"
    "{{ '<|' ~ m.role ~ '|>\n' ~ m.content ~ '<|end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}"
    "{% else %}{{ eos_token }}{% endif %}",
    "<|endoftext|>",
    "<|end|>",
    ("<|user|>", "<|assistant|>", "<|system|>", "<|end|>", "<|endoftext|>"),
)
# A turn is ended by the head of the next one.
GLM = Kind(
    "{{ '[gMASK]<sop>' }}{% for m in messages %}"
    "{{ '<|' ~ m.role ~ '|>\n' ~ m.content }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}",
    "<|endoftext|>",
    "<|user|>",
    ("<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>", "[gMASK]"),
    ("<|user|>",),
)
# Asks a model to think, and writes what it said as if it had not thought.
THINKER = Kind(
    "{% for m in messages %}{{ '<|' ~ m.role ~ '|>' ~ m.content ~ '</s>' }}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|assistant|><think>\n' }}{% endif %}",
    "</s>",
    "</s>",
    ("<|user|>", "<|assistant|>", "</s>"),
)
