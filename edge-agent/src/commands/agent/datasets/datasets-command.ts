import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { ConfigError, loadConfig } from '../../../config.ts'
import { DataError } from '../../../data/data-error.ts'
import { Datasets } from '../../../data/datasets.ts'
import type { DatasetDescription } from '../../../data/describe-dataset.ts'
import { PolicyFile } from '../../../policy/policy-file.ts'
import { AgentFileError } from '../../../settings/agent-file.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'

const usage = `Shows what central is told about the data of this device, before it is sent, and what cannot be used and why.

  ${program} datasets [--state-dir folder] [--json]

Reads every data set whole. Exit codes: 0 all can be used, 1 some cannot.
`

/** The command `datasets`. Throws UsageError, CommandError. */
export const datasets = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output } = surroundings
  const given = readOptions(line, { 'state-dir': { type: 'string' }, json: { type: 'boolean' } })
  if (given.help) {
    output.out(usage)
    return 0
  }
  const stateDir = given['state-dir']
  const { told, faults } = await look(
    stateDir === undefined ? environment : { ...environment, STATE_DIR: resolve(folder, stateDir) },
  )
  if (given.json) output.out(`${JSON.stringify({ told, faults }, null, 2)}\n`)
  else output.out(describe(told, faults))
  return faults.length === 0 ? 0 : 1
}

type Fault = { readonly name: string; readonly message: string }

const look = async (
  environment: Surroundings['environment'],
): Promise<{ told: DatasetDescription[]; faults: Fault[] }> => {
  try {
    const {
      dataDir,
      stateDir,
      maxDatasetBytes: maxBytes,
      datasetCacheBytes: cacheBytes,
    } = await loadConfig(environment)
    await mkdir(stateDir, { recursive: true, mode: 0o700 })
    // A cache of its own: the agent may be at work in the other.
    const cacheDir = await mkdtemp(join(stateDir, 'datasets-'))
    try {
      const faults: Fault[] = []
      const data = await Datasets.open(dataDir, { maxBytes, cacheDir, cacheBytes })
      const found = await data.describe((name, { message }) => faults.push({ name, message }), { convert: 'all' })
      const state = await new PolicyFile(dataDir).read()
      const mayTell = 'policy' in state && state.policy.share.labelHistograms
      const told = found.map(({ labelHistogram, ...rest }) =>
        labelHistogram === undefined || !mayTell ? rest : { ...rest, labelHistogram },
      )
      return { told, faults }
    } finally {
      await rm(cacheDir, { recursive: true, force: true })
    }
  } catch (error) {
    const known = [ConfigError, AgentFileError, DataError].some(kind => error instanceof kind)
    throw known ? new CommandError((error as Error).message, { cause: error }) : error
  }
}

const describe = (told: readonly DatasetDescription[], faults: readonly Fault[]): string => {
  const lines = told.flatMap(({ name, heldOut, examples, schema, labelHistogram }) => [
    `${name}: ${examples} examples${heldOut ? ', held out: evaluated on, never trained on' : ''}`,
    ...(schema === undefined
      ? []
      : [
          `  ${schema.format}, [${schema.shape.join(', ')}] an example${schema.columns ? `: ${schema.columns.join(', ')}` : ''}`,
          `  label: ${schema.label.kind}, ${schema.label.size} an example${schema.label.classes ? ` of ${schema.label.classes.join(', ')}` : ''}`,
        ]),
    ...(labelHistogram === undefined ? [] : [`  examples of each class: ${labelHistogram.join(', ')}`]),
  ])
  const head =
    told.length === 0 ? 'Central is told of no data set.' : 'Central is told this, and nothing else, of the data:'
  const wrong = faults.map(({ name, message }) => `  ${name}: ${message}`)
  return `${[head, ...lines.map(line => `  ${line}`), ...(wrong.length > 0 ? ['', 'Cannot be used:', ...wrong] : [])].join('\n')}\n`
}
