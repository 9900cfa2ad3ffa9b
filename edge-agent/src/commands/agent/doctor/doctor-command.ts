import { resolve } from 'node:path'
import { type AgentConfig, ConfigError, loadConfig } from '../../../config.ts'
import { PolicyFile } from '../../../policy/policy-file.ts'
import { AgentFileError } from '../../../settings/agent-file.ts'
import { readLiveStatus } from '../../../status/read-live-status.ts'
import { type Identity, IdentityError, readIdentity } from '../../../transport/identity.ts'
import type { Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'
import { checkDatasets } from './check-datasets.ts'
import { checkOnnx, checkTrainers } from './check-frameworks.ts'
import { checkIdentity } from './check-identity.ts'
import { checkBroker, checkCentral, checkNode, type NetworkChecks } from './check-network.ts'
import { checkStorage } from './check-storage.ts'
import { type Finding, failed, menders, ok, runCheck } from './finding.ts'

const usage = `Looks whether everything that the agent needs is there and within reach, and says who must mend what is not.

  ${program} doctor [--state-dir folder] [--json]

Exit codes: 0 all is well (warnings included), 1 something is wrong.
`

/** The command `doctor`. Throws UsageError. Nothing is sent but the device's certificate; no work is taken. */
export const doctor = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output, signal } = surroundings
  const given = readOptions(line, { 'state-dir': { type: 'string' }, json: { type: 'boolean' } })
  if (given.help) {
    output.out(usage)
    return 0
  }
  const stateDir = given['state-dir']
  const settings = stateDir === undefined ? environment : { ...environment, STATE_DIR: resolve(folder, stateDir) }
  const findings: Finding[] = []
  const tell = (...found: readonly Finding[]): void => {
    findings.push(...found)
    if (!given.json) for (const finding of found) output.out(lineOf(finding))
  }
  await examine(settings, tell, signal)
  const isWell = findings.every(({ state }) => state !== 'failed')
  if (given.json) output.out(`${JSON.stringify({ well: isWell, findings }, null, 2)}\n`)
  else output.out(summaryOf(findings))
  return isWell ? 0 : 1
}

const examine = async (
  settings: Surroundings['environment'],
  tell: (...found: readonly Finding[]) => void,
  signal: AbortSignal,
): Promise<void> => {
  const loaded = await load(settings)
  if (!('config' in loaded)) return tell(loaded)
  const { config, identity } = loaded
  const { stateDir, dataDir } = config
  tell({ check: 'settings', subject: stateDir, ...ok('complete') })
  const own = { seconds: 15, mender: 'owner', signal } as const
  tell(
    await runCheck('identity', config.identity.certificateFile, own, () =>
      checkIdentity(identity, config.identity, new Date()),
    ),
  )
  tell(
    await runCheck('storage', stateDir, own, () =>
      checkStorage(stateDir, config.objectCacheBytes + config.maxModelBytes),
    ),
  )
  const running = await readLiveStatus(stateDir)
  const checks: NetworkChecks = {
    config,
    identity,
    running: running && { brokerConnected: running.broker.connected },
    signal,
  }
  const groups = [
    checkCentral(checks),
    ...config.endpoints.map(endpoint => checkNode(endpoint, checks)),
    checkBroker(checks),
  ]
  for (const found of await Promise.all(groups)) tell(...found)
  tell(
    await runCheck('policy', 'policy.json', own, async () => {
      const policy = await new PolicyFile(dataDir).read()
      if (!('fault' in policy)) return ok(policy.exists ? 'is kept' : 'there is none: everything is allowed')
      return failed('owner', policy.fault)
    }),
  )
  tell(...(await checkDatasets(config, signal)))
  tell(await runCheck('framework', 'onnx', { ...own, seconds: 60 }, checkOnnx))
  tell(...(await checkTrainers(dataDir, stateDir, signal)))
}

/** Settings and identity, without which nothing else can be looked at. */
const load = async (
  environment: Surroundings['environment'],
): Promise<{ config: AgentConfig; identity: Identity } | Finding> => {
  let subject = 'environment and agent.json'
  try {
    const config = await loadConfig(environment)
    subject = config.identity.certificateFile
    return { config, identity: await readIdentity(config.identity) }
  } catch (error) {
    const expected = [ConfigError, AgentFileError, IdentityError].some(kind => error instanceof kind)
    if (!expected) throw error
    const { message } = error as Error
    return { check: 'settings', subject, ...failed('owner', `${message}\nEnrol this device, or set what is missing.`) }
  }
}

const marks = { ok: 'ok  ', skipped: '-   ', warning: 'warn', failed: 'FAIL' } as const

const lineOf = (finding: Finding): string => {
  const { check, subject, state, message } = finding
  const text = message.replaceAll('\n', '\n      ')
  const who = 'mender' in finding ? `\n      → ${menders[finding.mender]}` : ''
  return `${marks[state]}  ${check.padEnd(9)}  ${subject}: ${text}${who}\n`
}

const summaryOf = (findings: readonly Finding[]): string => {
  const count = (state: Finding['state']): number => findings.filter(finding => finding.state === state).length
  const [wrong, warned] = [count('failed'), count('warning')]
  if (wrong === 0) return `\nAll is well${warned === 0 ? '' : `, with ${warned} warnings`}.\n`
  const whose = new Set(findings.flatMap(found => (found.state === 'failed' ? [menders[found.mender]] : [])))
  return `\n${wrong} of ${findings.length} checks failed; to be mended by ${[...whose].join(' and ')}.\n`
}
