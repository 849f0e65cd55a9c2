"""Several trainers from one process: one after the other, then side by side."""

import asyncio

from src.arkor.trainer import make_trainer


async def main() -> None:
    small, large = (make_trainer(name=f"rank-{r}", lora={"r": r, "alpha": 16}) for r in (4, 16))
    for trainer in (small, large):
        result = await trainer.wait()  # starts the run if need be
        print(f"{trainer.name}: {result.status}")

    slow, fast = (make_trainer(name=f"rate-{rate}", learning_rate=rate) for rate in (1e-3, 1e-2))
    results = await asyncio.gather(slow.wait(), fast.wait())
    for trainer, result in zip((slow, fast), results, strict=True):
        print(f"{trainer.name}: {result.status}")


if __name__ == "__main__":
    asyncio.run(main())
