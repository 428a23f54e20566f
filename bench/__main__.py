"""Run one named benchmark, or all of them; the last line printed is a result as JSON."""

import sys

from bench.harness import BENCHMARKS, keep, run_benchmark


def main(names: list[str]) -> int:
    """Run the benchmarks named, or all of them; refuse an unknown name."""
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        print(f"no benchmark {unknown[0]}; there are: {', '.join(BENCHMARKS)}", file=sys.stderr)
        return 2
    for name in names or BENCHMARKS:
        print(keep(run_benchmark(name)), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
