"""Stands in for the command of DuckDB 2, which PyPI does not have: takes the options and the
statements that an import gives, and answers them by the library."""

import sys

import duckdb

if "--version" in sys.argv:
    print(f"v{duckdb.__version__} (library)")
    sys.exit()

db = duckdb.connect()
for statement in sys.stdin.read().split(";\n"):
    if not statement.strip():
        continue
    try:
        result = db.execute(statement)
        rows = result.fetchmany(500) if result.description else []
        while rows and not statement.startswith(("SET", "ATTACH")):
            sys.stdout.writelines(f"{row[0]}\n" for row in rows)
            rows = result.fetchmany(500)
    except duckdb.Error as error:
        sys.exit(str(error))
