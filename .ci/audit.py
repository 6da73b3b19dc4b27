"""Whether a version in requirements.lock has a known vulnerability, as PyPI tells pip-audit.

Exits by 1 for one that has, and where pip-audit fails; what could not be audited because PyPI is out of reach is said,
and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
COMMAND = "pip_audit --no-deps --disable-pip --progress-spinner=off --format=json --requirement"
OUT_OF_REACH = ("ConnectionError", "ConnectTimeout", "Max retries exceeded", "timed out")  # in what requests raises


def main() -> int:
    """Audit, and say what was found."""
    ran = subprocess.run([sys.executable, "-m", *COMMAND.split(), str(LOCK)], capture_output=True, text=True)
    if not ran.stdout:
        out_of_reach = any(words in ran.stderr for words in OUT_OF_REACH)
        print("nothing was audited: PyPI is out of reach" if out_of_reach else ran.stderr)
        return 0 if out_of_reach else 1
    found = json.loads(ran.stdout)["dependencies"]
    skipped = [package["name"] for package in found if "skip_reason" in package]
    faulty = [package for package in found if package.get("vulns")]
    for package in faulty:
        for fault in package["vulns"]:
            fixed = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {fixed}")
    print(f"{len(found) - len(skipped)} of {len(found)} packages audited; {len(faulty)} with a known vulnerability")
    if skipped:
        print(f"PyPI does not tell of the others here: {', '.join(skipped)}")
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
