"""transformers' side of packing.py.

Trains a folder by AdamW on documents, each batch filled up to its longest.
Prints one JSON line: trained tokens a second.
"""

import argparse
import json
import time

import numpy as np
import torch
import transformers


def main() -> None:
    """Prints what was measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder")
    parser.add_argument("documents", help="ids, mask and lengths, as .npz")
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--steps", type=int, default=15)
    args = parser.parse_args()
    with np.load(args.documents) as file:
        cuts = np.cumsum(file["lengths"])[:-1]
        every = list(
            zip(
                np.split(file["ids"], cuts),
                np.split(file["mask"], cuts),
                strict=True,
            )
        )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        args.folder, dtype=torch.float32
    ).train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-4, foreach=True)
    trained, seconds = 0, 0.0
    for step in range(args.steps):
        batch = every[step * args.batch : (step + 1) * args.batch]
        longest = max(len(ids) for ids, _ in batch)
        shape = (len(batch), longest)
        tokens = torch.zeros(shape, dtype=torch.long)
        labels = torch.full(shape, -100)
        seen = torch.zeros(shape, dtype=torch.long)
        for row, (ids, mask) in enumerate(batch):
            values = torch.from_numpy(ids.astype(np.int64))
            tokens[row, : len(ids)] = values
            seen[row, : len(ids)] = 1
            counted = torch.from_numpy(mask.astype(bool))
            labels[row, : len(ids)][counted] = values[counted]
        began = time.perf_counter()
        loss = model(input_ids=tokens, attention_mask=seen, labels=labels).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        loss.item()
        if step >= 3:
            seconds += time.perf_counter() - began
            trained += int((labels[:, 1:] != -100).sum())
    print(json.dumps({"tokens_per_second": trained / seconds}))


if __name__ == "__main__":
    main()
