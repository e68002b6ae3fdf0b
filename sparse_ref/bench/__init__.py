"""The benchmark: ours and the peers in one process, and how near ours comes to the machine.

`settings` says what is measured, `clock` how; every part yields flat records (`layers`, `training`,
`events`, `crossing`, `scaling`, `machine`; of images `convolutions`, `convnets`, `model_table`);
`verdicts`, `report` and `pictures` only read records.
"""
