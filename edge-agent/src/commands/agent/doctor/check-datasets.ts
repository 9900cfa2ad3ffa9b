import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { DataError } from '../../../data/data-error.ts'
import { Datasets } from '../../../data/datasets.ts'
import { readDeclarations } from '../../../data/declarations/read-declarations.ts'
import { type Finding, failed, ok, runCheck, warning } from './finding.ts'

const seconds = 60

type DataSettings = {
  readonly dataDir: string
  readonly stateDir: string
  readonly maxDatasetBytes: number
  readonly datasetCacheBytes: number
}

/** Reads every declared data set whole, row by row, each within its deadline. What it makes of them is removed again. */
export const checkDatasets = async (
  { dataDir, stateDir, maxDatasetBytes, datasetCacheBytes }: DataSettings,
  signal: AbortSignal,
): Promise<Finding[]> => {
  const of = { seconds, mender: 'owner', signal } as const
  const declared = await runCheck('data', dataDir, of, async () => {
    const { length } = await readDeclarations(dataDir)
    if (length > 0) return ok(`${length} declared`)
    return warning('owner', 'No data set is declared in datasets.json: this device takes part in nothing.')
  })
  if (declared.state !== 'ok') return [declared]
  // A cache of its own: the agent may be at work in the other.
  const cacheDir = await mkdtemp(join(stateDir, 'doctor-'))
  try {
    const datasets = await Datasets.open(dataDir, {
      maxBytes: maxDatasetBytes,
      cacheDir,
      cacheBytes: datasetCacheBytes,
    })
    const findings: Finding[] = [declared]
    for (const { name, heldOut } of await readDeclarations(dataDir)) {
      const purpose = heldOut ? 'evaluation' : 'training'
      findings.push(
        await runCheck('data', name, of, async within => {
          try {
            const { examples } = await datasets.loadStored(name, purpose, { signal: within })
            return examples > 0 ? ok(`${examples} examples`) : warning('owner', 'holds no examples.')
          } catch (error) {
            if (error instanceof DataError) return failed('owner', `${error.code}: ${error.message}`)
            if (within.aborted && !signal.aborted) {
              return warning(
                'owner',
                `not read within ${seconds} s; what came so far is well. The agent takes its time.`,
              )
            }
            throw error
          }
        }),
      )
    }
    return findings
  } finally {
    await rm(cacheDir, { recursive: true, force: true })
  }
}
