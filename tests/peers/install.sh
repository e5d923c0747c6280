#!/bin/sh
# SPDX-License-Identifier: BSD-3-Clause
# install.sh FOLDER: numpy and others into FOLDER/peers-venv, where they are not there yet. One process at a time; whoever
# comes meanwhile waits. A failure counts for the next one too, which need not wait for the network again.
venv=$1/peers-venv
lock=$1/peers-venv.lock
patience=450
while ! mkdir "$lock" 2>/dev/null; do
    pid=$(cat "$lock/pid" 2>/dev/null)
    patience=$((patience - 1))
    if [ $patience -lt 0 ] || { [ -n "$pid" ] && ! kill -0 "$pid" 2>/dev/null; }; then
        rm -rf "$lock" # of a process that is gone
    fi
    sleep 1
done
echo $$ >"$lock/pid"
trap 'rm -rf "$lock"' EXIT
[ ! -e "$venv/complete-ase" ] || exit 0
[ ! -e "$venv.failed" ] || {
    rm -f "$venv.failed"
    exit 1
}
rm -rf "$venv"
python3 -m venv "$venv" && timeout 400 "$venv/bin/python" -m pip install -q --disable-pip-version-check --retries 1 \
    numpy h5py safetensors tensorboard ase 'setuptools<81' && touch "$venv/complete-ase" && exit 0
touch "$venv.failed"
exit 1
