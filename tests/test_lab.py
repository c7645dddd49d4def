"""The servers of the tests get out of one another's way."""

import subprocess
import sys

from lab import servers


def test_a_port_that_one_process_was_given_is_given_to_no_other():
    here = servers.free_port()
    ask = "from lab import servers; print(servers._is_claimed(int(sys.argv[1])))"
    elsewhere = [sys.executable, "-c", f"import sys; {ask}", str(here)]
    assert not servers._is_claimed(here)
    assert subprocess.run(elsewhere, capture_output=True, text=True, check=True).stdout.strip() == "False"
