#!/bin/sh
# usage: run.sh [setup|gen|duckdb|k2|chdb|iceberg|questdb|original|frames|asx|limits|dbn|all|report]...
# PEERS_HOME (default /tmp/peers) holds venv, data, work, results.jsonl; PEERS_RUNS (3); ROWS (5000000).
H=${PEERS_HOME:-/tmp/peers}; export PEERS_DATA=${PEERS_DATA:-$H/data} PEERS_WORK=${PEERS_WORK:-$H/work} PEERS_RESULTS=${PEERS_RESULTS:-$H/results.jsonl} PYTHON=$H/venv/bin/python
here=$(cd "$(dirname "$0")" && pwd); cd "$here" || exit 1
[ $# -gt 0 ] || set -- all
for x in "$@"; do case $x in
  setup) ./setup.sh ;;
  gen) "$PYTHON" gen.py --rows "${ROWS:-5000000}" --symbols 1000 --seed 1 ;;
  limits) ./limits.sh ;;
  dbn) [ -f "$PEERS_DATA/rows.bin" ] || ./limits.sh; (cd dbn_rs && CARGO_TARGET_DIR=$H/dbn_target cargo run -q --release -- "$PEERS_DATA/rows.bin" "${PEERS_RUNS:-3}" "$PEERS_WORK/x.dbn.zst" >> "$PEERS_RESULTS") ;;
  asx) if [ -d "${ASX:-}" ]; then "$PYTHON" -W ignore p_asx.py; else echo 'asx: ASX names no folder with trades/*.csv; left out'; fi ;;
  report) "$PYTHON" report.py ;;
  all) "$0" gen limits duckdb k2 chdb iceberg questdb original frames asx dbn report ;;
  iceberg) "$PYTHON" -W ignore p_iceberg.py && ICE_TRUNC=5 "$PYTHON" -W ignore p_iceberg.py ;;
  *) "$PYTHON" -W ignore "p_$x.py" ;;
esac || exit 1; done
