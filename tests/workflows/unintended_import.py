"""A workflow with an import that is not passed through, at a cost in every run."""

from __future__ import annotations

import idna
from temporalio import workflow


@workflow.defn(name="UnintendedImportWorkflow")
class UnintendedImportWorkflow:
    @workflow.run
    async def run(self) -> str:
        return str(idna.__name__)
