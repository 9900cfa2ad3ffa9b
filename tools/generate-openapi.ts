/** Writes `docs/openapi.json` from the route table. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openApiDocument } from '../packages/contracts/src/openapi/document.ts'

await writeFile(
  join(import.meta.dirname, '..', 'docs', 'openapi.json'),
  `${JSON.stringify(openApiDocument(), null, 1)}\n`,
)
