"""What a process that serves predictions imports."""

import json
import subprocess
import sys
from pathlib import Path

from shared.prediction.model import RoutingModel
from shared.registry.build import build_package
from shared.registry.signing import Keys

SERVE = """
import json, sys
from pathlib import Path
from shared.prediction.answers import ItemQuery
from shared.registry.signing import Keys
from shared.registry.verify import verify_folder

folder, keys, code = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]
model = verify_folder(folder, Keys(keys)).model
attributes = {name: value for name, value in model.item(code).attributes.items() if isinstance(value, str | float)}
queries = [ItemQuery(item_code=code), ItemQuery(item_code="new", attributes=attributes)]
known = [model.predict(queries, as_if_unknown=flag) for flag in (True, False)]
near = model.similar(code, 5)
answered = [answer.status.value for answers in known for answer in answers]
print(json.dumps({"answered": answered, "near": len(near), "imported": sorted(sys.modules)}))
"""


def test_a_model_is_verified_and_asked_without_scikit_learn_and_scipy(tiny_model: RoutingModel, tmp_path: Path) -> None:
    keys = Keys(tmp_path / "keys")
    keys.ensure()
    build_package(tiny_model, tmp_path / "packages" / "tiny", version="tiny", keys=keys)
    code = next(iter(tiny_model.index.item_codes))
    words = [str(tmp_path / "packages" / "tiny"), str(tmp_path / "keys"), code]
    done = subprocess.run([sys.executable, "-c", SERVE, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout.splitlines()[-1])
    assert "ok" in told["answered"]  # of a new item it may abstain
    assert told["near"] == 5
    heavy = {"sklearn", "scipy", "pandas", "matplotlib"} & {name.split(".")[0] for name in told["imported"]}
    assert not heavy
