"""What importing loads: nobody who does not use an Ethereum L1 pays for its libraries."""

from __future__ import annotations

import subprocess
import sys

import pytest

HEAVY = ("eth_account", "ckzg", "rlp", "py_ecc")


@pytest.mark.parametrize(
    "module", ["microrollup", "microrollup.cli", "microrollup.node.runtime", "microrollup.settlement.ethereum.options"]
)
def test_ethereum_is_loaded_on_use(module: str) -> None:
    """Neither the package nor its command line nor a node without an L1 imports what settling on Ethereum takes."""
    script = f"import sys, {module}; print([name for name in {HEAVY!r} if name in sys.modules])"
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "[]" == shown.stdout.strip()


def test_recursion_limit_stays() -> None:
    """eth_account sets it to 100,000, with which nested JSON ends the process; who opens an L1 never imports it."""
    script = (
        "import sys; limit = sys.getrecursionlimit()\n"
        "from microrollup.crypto.ecdsa import load_private_key\n"
        "from microrollup.settlement.ethereum import settlement\n"
        "from microrollup.settlement.ethereum.fees import Fees\n"
        "from microrollup.settlement.ethereum.transaction import TransactionRequest, sign_transaction\n"
        "key = load_private_key(bytes([1]) * 32)\n"
        "sign_transaction(key, TransactionRequest(bytes(20), b'', 1), 1, 0, Fees(1, 1, 0), None, 'cells')\n"
        "assert 'eth_account' not in sys.modules\n"
        "print(sys.getrecursionlimit() == limit)"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "True" == shown.stdout.strip()


def test_a_verifier_of_files_loads_no_network() -> None:
    """What structlog and addresses would load is not loaded there; structlog's asyncio is the real one once used."""
    script = (
        "import sys, microrollup.verifier.__main__ as main\n"
        "main._import_structlog()\n"
        "import structlog, microrollup.verifier.process\n"
        "print([name for name in ('rich', 'asyncio', 'ssl', 'http.client') if name in sys.modules])\n"
        "assert structlog.stdlib.asyncio.sleep is __import__('asyncio').sleep\n"
    )
    shown = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60)
    assert "[]" == shown.stdout.strip()
