#!/usr/bin/env bash
# In a search by cosine a row of zeros is the nearest of all in sqlite-vec, and no row at all in
# lancedb.
# Versions: sqlite-vec 0.1.9, apsw 3.54.1.0, lancedb 0.40.0, pyarrow 26.0.1, numpy 2.4.6.
# Expected (a first guess): it comes with a distance of 1, as a row at a right angle, or last, with
# nan; asked for five of five rows, a search returns five.
# Seen: its distance in sqlite-vec is NULL, which SQL sorts before every number, so ORDER BY puts a
# dead embedding ahead of the query's own row; with k = 2 it is not among the two. lancedb returns
# four rows of five, with all five asked for. A collapsed column of ReLUs makes such rows.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv --without-pip "$work/env"
if command -v uv >/dev/null; then install="uv pip install"
else install="python3 -m pip install --no-compile"; fi
VIRTUAL_ENV=$work/env PIP_PYTHON=$work/env/bin/python $install --quiet \
  sqlite-vec==0.1.9 apsw==3.54.1.0 lancedb==0.40.0 pyarrow==26.0.1 numpy==2.4.6
"$work/env/bin/python" -W ignore - <<'PYTHON'
import tempfile

import apsw
import lancedb
import sqlite_vec

rows = {"same": [1, 0], "near": [0.9, 0.1], "zeros": [0, 0], "across": [0, 1], "opposite": [-1, 0]}
query = sqlite_vec.serialize_float32(rows["same"])
database = apsw.Connection(":memory:")
database.enable_load_extension(True)
database.load_extension(sqlite_vec.loadable_path())
database.execute("create table images (name text, row blob)")
database.execute("create virtual table places using vec0(row float[2] distance_metric=cosine)")
for name, row in rows.items():
    database.execute("insert into images values (?, ?)", (name, sqlite_vec.serialize_float32(row)))
    database.execute("insert into places(row) values (?)", (sqlite_vec.serialize_float32(row),))


def names(statement):
    return [list(rows)[value - 1] if isinstance(value, int) else value
            for value, in database.execute(statement, (query,))]


ordered = names("select name from images order by vec_distance_cosine(row, ?)")
all_five = names("select rowid from places where row match ? order by distance limit 5")
two = names("select rowid from places where row match ? and k = 2")
with tempfile.TemporaryDirectory() as folder:
    table = lancedb.connect(folder).create_table(
        "images", [{"name": name, "vector": row} for name, row in rows.items()])
    found = [row["name"]
             for row in table.search(rows["same"]).distance_type("cosine").limit(5).to_list()]
print("sqlite-vec, ORDER BY:", ordered, "match, 5:", all_five, "match, k = 2:", two)
print("lancedb, 5:", found)
assert ordered[0] == all_five[0] == "zeros" and two == ["same", "near"]
assert len(found) == 4 and "zeros" not in found
PYTHON
