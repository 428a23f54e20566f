"""The machinery of Kilokassa: values, storage, wiring, pages, commands.

The subjects (`metering`, `tariffs`, `wallet`, `heating`, `notices`, `billing`, `invoices`) stand
beside this package at the top level; an import only ever points down the rings
jobs > web > demo > app > invoices > billing > subjects > db > core.
"""
