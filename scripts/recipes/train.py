"""Train, and exit as the run ended: 0 completed, 1 failed or cancelled, 4 no end was reached."""

import sys

from arkor import ArkorError
from src.arkor.trainer import make_trainer


def main() -> int:
    trainer = make_trainer()
    try:
        started = trainer.start_sync()
        print(f"{'Resumed' if started.resumed else 'Started'} job {started.job_id}")
        result = trainer.wait_sync()
    except ArkorError as error:
        print(f"No end was reached: {error}", file=sys.stderr)
        return 4
    print(f"status={result.status}: {result.job.error or f'{len(result.artifacts)} artifacts'}")
    return 0 if result.succeeded else 1


if __name__ == "__main__":
    sys.exit(main())
