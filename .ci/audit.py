"""Whether a version in requirements.lock has a known vulnerability, as PyPI tells pip-audit.

Exits by 1 for one that has; what could not be audited, because PyPI is out of reach, is said and is no failure.
"""

import json
import subprocess
import sys
from pathlib import Path

LOCK = Path(__file__).resolve().parents[1] / "requirements.lock"
COMMAND = (
    "pip_audit",
    "--requirement",
    str(LOCK),
    "--no-deps",
    "--disable-pip",
    "--progress-spinner=off",
    "--format=json",
)


def main() -> int:
    """Audit, and say what was found."""
    ran = subprocess.run([sys.executable, "-m", *COMMAND], capture_output=True, text=True, timeout=600)
    if not ran.stdout:
        print(f"nothing was audited: {ran.stderr.strip().splitlines()[-1]}")
        return 0
    found = json.loads(ran.stdout)["dependencies"]
    skipped = [package["name"] for package in found if "skip_reason" in package]
    faulty = [package for package in found if package.get("vulns")]
    for package in faulty:
        for fault in package["vulns"]:
            fixed = ", ".join(fault["fix_versions"]) or "no version yet"
            print(f"{package['name']} {package['version']}: {fault['id']}, mended in {fixed}")
    told = f" ({', '.join(skipped[:3])}, ...: PyPI does not tell of them here)" if skipped else ""
    print(
        f"{len(found) - len(skipped)} of {len(found)} packages audited{told}; {len(faulty)} with a known vulnerability"
    )
    return 1 if faulty else 0


if __name__ == "__main__":
    sys.exit(main())
