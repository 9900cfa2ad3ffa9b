import { mkdir, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { EnrolDevice, Enrolled } from '@tributary/contracts/enrolment'
import { ConfigError, readConfig } from '../../../config.ts'
import { declarationsFile } from '../../../data/declarations/read-declarations.ts'
import { isLoopback } from '../../../inference/http/listen-address.ts'
import { type AgentFile, agentFileName, readAgentFile, writeAgentFile } from '../../../settings/agent-file.ts'
import { stateFolderOf } from '../../../settings/state-folder.ts'
import { CentralError, postJson } from '../../../transport/central-client.ts'
import { certificateRequest } from '../../../transport/certificate-request.ts'
import { UsageError } from '../../usage-error.ts'
import { CommandError, type Surroundings } from '../agent-command.ts'
import { program } from '../program.ts'
import { readOptions } from '../read-options.ts'
import { checkEnrolled } from './check-enrolled.ts'
import { enrolledSubject, identityFiles, NewIdentity } from './new-identity.ts'
import { readFingerprint, trustAuthority } from './trust-authority.ts'

const usage = `Joins a federation: makes a key on this device, and gets a certificate for it with a code of the operator.

  ${program} enrol --url https://central.example --code K7Q2M-… [options]

  --url url              of central
  --code code            from the operator
  --label name           a stable name of this device; default: made from its key
  --authority-sha256 h   the sha256 of the federation's certificate authority; without it you are shown the one that central sends
  --yes                  trust the authority that central sends
  --state-dir folder     for identity, settings and state; default STATE_DIR
  --data-dir folder      holds datasets.json and the data; default DATA_DIR, or data in the state folder
  --node host:port       of a regional node, again for each; default: those that central names
  --mqtt-url url         of the broker; default: the one that central names
  --force                gives up the identity that is here

The key never leaves this device. The same code may be used again after an error: it counts once.
`

/** The command `enrol`. Throws UsageError, CommandError. */
export const enrol = async (line: readonly string[], surroundings: Surroundings): Promise<number> => {
  const { folder, environment, output, signal } = surroundings
  const given = readLine(line)
  if (given.help) {
    output.out(usage)
    return 0
  }
  const centralUrl = centralOf(given.url)
  const body = EnrolDevice.omit({ csr: true }).safeParse({ code: given.code ?? '', label: given.label })
  if (!body.success) throw new UsageError(`enrol needs --code, and a --label of ${labelRule}`)
  const expected = given['authority-sha256'] === undefined ? undefined : readFingerprint(given['authority-sha256'])
  const stateDir = resolve(folder, given['state-dir'] ?? stateFolderOf(environment))
  const dataDir = resolve(folder, given['data-dir'] ?? environment.DATA_DIR ?? join(stateDir, 'data'))
  const subject = await enrolledSubject(stateDir)
  if (subject !== undefined && given.force !== true) {
    throw new CommandError(
      `This device is enrolled already (${subject}, in ${stateDir}). Start it with run; --force gives that identity up.`,
    )
  }
  await makeFolder(stateDir)
  const identity = await NewIdentity.begin(stateDir)
  const answer = await ask(centralUrl, { ...body.data, csr: certificateRequest(identity.key) }, signal)
  const { authoritySha256, expiresAt } = checkEnrolled(answer, identity.key, new Date())
  await trustAuthority(authoritySha256, { expected, yes: given.yes === true }, surroundings)
  const settings = settingsOf(answer, { ...given, centralUrl, stateDir, dataDir })
  await identity.finish(answer.certificate, answer.authority)
  await writeAgentFile(stateDir, {
    format: 'tributary.agent/1',
    device: answer.id,
    label: answer.label,
    region: answer.region,
    enrolledAt: new Date().toISOString(),
    authoritySha256,
    // What the owner set by hand stays, but for what was found out anew.
    settings: { ...(await settingsBefore(stateDir)), ...settings },
  })
  output.out(
    `${answer.label} is enrolled as ${answer.kind} ${answer.id} in the region ${answer.region}.
  certificate  good until ${expiresAt.toISOString()}; the agent renews it
  settings     ${join(stateDir, agentFileName)}
  data         ${dataDir}
`,
  )
  if (!(await exists(join(dataDir, declarationsFile)))) {
    output.out(`Declare the data sets of this device in ${join(dataDir, declarationsFile)} (docs/datasets.md).\n`)
  }
  output.out(
    'Next: doctor looks whether everything is within reach, datasets shows what central is told, run starts.\n',
  )
  return 0
}

const labelRule = 'lower-case letters, digits and inner hyphens'

const readLine = (line: readonly string[]) =>
  readOptions(line, {
    url: { type: 'string' },
    code: { type: 'string' },
    label: { type: 'string' },
    'authority-sha256': { type: 'string' },
    yes: { type: 'boolean' },
    'state-dir': { type: 'string' },
    'data-dir': { type: 'string' },
    node: { type: 'string', multiple: true },
    'mqtt-url': { type: 'string' },
    force: { type: 'boolean' },
  })

/** A code is worth an identity: it goes in the clear to this machine alone. */
const centralOf = (text: string | undefined): string => {
  const url = text !== undefined && URL.canParse(text) ? new URL(text) : undefined
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw new UsageError('enrol needs --url https://…')
  if (url.protocol === 'http:' && !isLoopback(url.hostname)) {
    throw new UsageError('--url must be https://, since the code would be readable on its way')
  }
  return `${url.origin}${url.pathname}`.replace(/\/+$/, '')
}

const ask = async (url: string, body: EnrolDevice, signal: AbortSignal): Promise<Enrolled> => {
  const path = '/v1/devices/enrol'
  const answer = await postJson(url, path, JSON.stringify(body), {}, signal).catch((error: unknown) => {
    if (!(error instanceof CentralError)) throw error
    const { message, cause } = error
    throw new CommandError(`${message}${cause instanceof Error ? ` (${rootOf(cause).message})` : ''}.`, {
      cause: error,
    })
  })
  const parsed = Enrolled.safeParse(answer)
  if (parsed.success) return parsed.data
  throw new CommandError(`What answers at ${url} is no central of Tributary that this agent knows. Check --url.`)
}

const rootOf = (error: Error): Error => (error.cause instanceof Error ? rootOf(error.cause) : error)

/** The settings of the agent, held to the same rules as the environment. @throws CommandError */
const settingsOf = (
  { endpoints, mqttUrl, region }: Enrolled,
  given: {
    readonly node?: string[] | undefined
    readonly 'mqtt-url'?: string | undefined
    readonly centralUrl: string
    readonly stateDir: string
    readonly dataDir: string
  },
): AgentFile['settings'] => {
  const nodes = given.node ?? endpoints
  if (nodes.length === 0) {
    throw new CommandError(
      `Central knows no node of the region ${region} that is up now. Enrol again later with the same code, or give --node host:port.`,
    )
  }
  const broker = given['mqtt-url'] ?? mqttUrl
  if (broker === null) {
    throw new CommandError('Central does not know the MQTT broker. Ask the operator, and give --mqtt-url mqtts://….')
  }
  const identity = join(given.stateDir, 'identity')
  const settings = {
    AGENT_CERT_FILE: join(identity, identityFiles.certificate),
    AGENT_KEY_FILE: join(identity, identityFiles.key),
    AUTHORITY_CERT_FILE: join(identity, identityFiles.authority),
    NODE_ENDPOINTS: nodes.join(','),
    MQTT_URL: broker,
    CENTRAL_URL: given.centralUrl,
    DATA_DIR: given.dataDir,
  }
  try {
    readConfig({ ...settings, STATE_DIR: given.stateDir })
  } catch (error) {
    if (error instanceof ConfigError) throw new CommandError(`With what central sent, ${error.message}`)
    throw error
  }
  return settings
}

const settingsBefore = async (stateDir: string): Promise<AgentFile['settings']> =>
  (await readAgentFile(stateDir).catch(() => undefined))?.settings ?? {}

const makeFolder = async (path: string): Promise<void> => {
  try {
    await mkdir(path, { recursive: true, mode: 0o700 })
  } catch (cause) {
    throw new CommandError(`${path} cannot be made (${(cause as Error).message}). Choose another --state-dir.`, {
      cause,
    })
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  )
