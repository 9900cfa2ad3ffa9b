import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Logger } from 'pino'
import { readTrainers } from '../../../python-worker/installed-trainers.ts'
import { PythonTrainers } from '../../../python-worker/python-trainers.ts'
import { LocalTensors } from '../../../state/local-tensors.ts'
import { type Finding, failed, type Outcome, ok, runCheck, skipped } from './finding.ts'

const mostOutput = 2000

/** Whether the ONNX runtime loads, in a process that may die of it. */
export const checkOnnx = async (signal: AbortSignal): Promise<Outcome> => {
  const script = "const ort = await import('onnxruntime-node'); process.stdout.write(ort.env.versions.node ?? '?')"
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    cwd: dirname(fileURLToPath(import.meta.url)),
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {},
    signal,
  })
  let [said, wrong] = ['', '']
  child.stdout.on('data', part => (said = `${said}${part}`.slice(0, mostOutput)))
  child.stderr.on('data', part => (wrong = `${wrong}${part}`.slice(-mostOutput)))
  const [code, killed] = (await once(child, 'close')) as [number | null, string | null]
  if (code === 0) return ok(`onnxruntime ${said}`)
  const reason = /^\w*Error.*$/m.exec(wrong)?.[0] ?? `it ended with ${killed ?? code}`
  return failed(
    'owner',
    `The ONNX runtime does not load here: ${reason}. Install the agent for this processor and system.`,
  )
}

/** Whether the trainers that the owner installed load, each in its own process. */
export const checkTrainers = async (dataDir: string, stateDir: string, signal: AbortSignal): Promise<Finding[]> => {
  const of = { seconds: 200, mender: 'owner', signal } as const
  let names: readonly string[] = []
  const declared = await runCheck('framework', 'trainers.json', of, async () => {
    names = [...(await readTrainers(dataDir)).keys()]
    return names.length === 0 ? skipped('no Python trainers are installed') : ok(`${names.length} trainers`)
  })
  if (names.length === 0) return [declared]
  const folder = await mkdtemp(join(stateDir, 'doctor-'))
  try {
    const told = new Map<string, Outcome>()
    const note = (outcome: (facts: Facts) => Outcome) => (facts: Facts) => void told.set(facts.trainer, outcome(facts))
    // The probe tells by its log how each one fared.
    const log = {
      info: note(({ framework, version, python }) => ok(`${framework} ${version}, Python ${python}`)),
      error: note(({ err }) => failed('owner', err?.message ?? 'does not load')),
    } as unknown as Logger
    const local = await LocalTensors.open(join(folder, 'local'), 1)
    const trainers = await PythonTrainers.open({ dataDir, folder, local, log })
    const probed = await runCheck('framework', 'Python', of, async within => {
      await trainers.probe(within, () => {})
      return ok('probed')
    })
    const each = names.map(name => ({ check: 'framework', subject: name, ...(told.get(name) ?? probed) }))
    return [declared, ...each.map(finding => ({ ...finding, check: 'framework', subject: finding.subject }))]
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

type Facts = {
  readonly trainer: string
  readonly framework?: string
  readonly version?: string
  readonly python?: string
  readonly err?: Error
}
