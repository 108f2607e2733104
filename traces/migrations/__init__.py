"""How a store of an older version becomes one of this version: alembic's environment and one file per step.

`traces.schema` runs them when a store is opened, inside one transaction.
"""
