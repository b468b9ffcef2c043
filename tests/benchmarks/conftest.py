import sys
from pathlib import Path

# The benchmarks are scripts, not a package: run as such, they find each other in their own folder.
sys.path.insert(0, str(Path(__file__).parents[2] / "benchmarks"))
