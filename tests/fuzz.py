"""Give damaged files to everything of the suite that reads files: python tests/fuzz.py --cases 100000 --seed 0

Images, annotations, csv, YAML, JSON, npz, checkpoints, published weights and command lines, good ones edited by
Hypothesis (tests/fuzzing/). Every case has to end in a right result or in a sentence for the user: an exception, 10
seconds without an end, 4 GB of memory or the death of the process is a finding, kept in fuzz_findings/, and makes the
exit code 1. A finding is the first of its kind, shrunk where that is cheap.
"""

import sys
from pathlib import Path

if __name__ == "__main__":
    sys.path[0] = str(Path(__file__).resolve().parents[1])  # not tests/, whose folders are called as other packages are
    from tests.fuzzing.command import main

    main()
