"""A workflow whose module imports something that is not passed through, and would cost memory in every single run."""

from __future__ import annotations

import idna
from temporalio import workflow


@workflow.defn(name="UnintendedImportWorkflow")
class UnintendedImportWorkflow:
    @workflow.run
    async def run(self) -> str:
        return str(idna.__name__)
