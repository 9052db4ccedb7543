"""The relayer: brings the updates of the rollup's log to keystore contracts on many chains.

`updates` reads them, `store` keeps what is known of them on disk, `chain` asks and tells one chain, `book` holds
where a chain is, `worker` decides, `service` runs it all, and `command` is `python -m apps.keystore.ucmt relay`.
"""
