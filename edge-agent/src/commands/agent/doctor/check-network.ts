import type { AgentConfig } from '../../../config.ts'
import { askCentral } from '../../../transport/ask-central.ts'
import { brokerAddress } from '../../../transport/broker-options.ts'
import { CallError } from '../../../transport/call-error.ts'
import type { Identity } from '../../../transport/identity.ts'
import { checkNodeHealth } from '../../../transport/node-health.ts'
import { probeBroker } from '../../../transport/probe-broker.ts'
import { checkClock } from './check-clock.ts'
import { checkTls } from './check-tls.ts'
import { type Finding, failed, type Outcome, ok, runCheck, skipped, warning } from './finding.ts'

const seconds = 15

export type NetworkChecks = {
  readonly config: AgentConfig
  readonly identity: Identity
  /** Whether the agent runs: a session of this device with the broker would end its own. */
  readonly running: { readonly brokerConnected: boolean } | undefined
  readonly signal: AbortSignal
}

/** Central: its certificate, its health, and its clock. */
export const checkCentral = async ({ config: { centralUrl }, signal }: NetworkChecks): Promise<Finding[]> => {
  const of = { seconds, mender: 'network', signal } as const
  if (centralUrl === undefined) {
    const message = 'CENTRAL_URL is not set: the certificate is not renewed by itself.'
    return [{ check: 'central', subject: 'CENTRAL_URL', ...warning('owner', message) }]
  }
  const { hostname, protocol, port } = new URL(centralUrl)
  const findings: Finding[] = []
  if (protocol === 'https:') {
    const target = { host: hostname, port: Number(port || 443) }
    findings.push(
      await runCheck('central', `${hostname} (TLS)`, of, within => checkTls(target, 'central', new Date(), within)),
    )
  }
  let clock: Outcome = skipped('central tells no time')
  findings.push(
    await runCheck('central', centralUrl, of, async within => {
      const answer = await askCentral(centralUrl, within)
      if (answer.date !== undefined) clock = checkClock(new Date(), answer.date, 'central')
      const { status } = answer
      return status === 200 ? ok('answers, and is well') : failed('operator', `answers with status ${status}.`)
    }),
  )
  return [...findings, { check: 'clock', subject: 'central', ...clock }]
}

/** One regional node: its certificate, whether it serves devices, and its clock. */
export const checkNode = async (endpoint: string, { identity, signal }: NetworkChecks): Promise<Finding[]> => {
  const of = { seconds, mender: 'network', signal } as const
  const at = endpoint.lastIndexOf(':')
  const target = {
    host: endpoint.slice(0, at),
    port: Number(endpoint.slice(at + 1)),
    ca: identity.authority,
    cert: identity.certificate,
    key: identity.key,
    alpn: ['h2'],
  }
  const tls = await runCheck('node', `${endpoint} (TLS)`, of, within =>
    checkTls(target, 'the regional node', new Date(), within),
  )
  if (tls.state === 'failed') return [tls]
  let clock: Outcome = skipped('the node tells no time')
  const health = await runCheck('node', `${endpoint} (gRPC)`, of, async within => {
    try {
      const { serving, date } = await checkNodeHealth(endpoint, identity, { deadlineMillis: 10_000, signal: within })
      if (date !== undefined) clock = checkClock(new Date(), date, `the node ${endpoint}`)
      if (serving === 'no') return warning('operator', 'The node answers, but serves no devices now.')
      return ok(serving === 'yes' ? 'serves devices' : 'answers; it does not tell its health')
    } catch (error) {
      if (!(error instanceof CallError)) throw error
      return failed('operator', `${error.message}. The certificate of this device may be revoked, or the node is ill.`)
    }
  })
  return [tls, health, { check: 'clock', subject: endpoint, ...clock }]
}

/** The broker at the address of the settings, and where else it might be: on port 443 by ALPN. */
export const checkBroker = async (checks: NetworkChecks): Promise<Finding[]> => {
  const { config, identity, running, signal } = checks
  const of = { seconds, mender: 'network', signal } as const
  const set = brokerAddress(config.mqttUrl, config.mqttAlpn)
  const look = async (address: typeof set): Promise<Finding> => {
    const { host, port, alpn } = address
    const { authority: ca, certificate: cert, key } = identity
    const target = { host, port, ca, cert, key, ...(port === 443 ? { alpn: [alpn] } : {}) }
    const subject = `${host}:${port}${port === 443 ? ` (ALPN ${alpn})` : ''}`
    const tls = await runCheck('mqtt', subject, of, within => checkTls(target, 'the broker', new Date(), within))
    if (tls.state === 'failed') return tls
    if (running !== undefined) {
      const same = port === set.port
      if (!same) return { ...tls, ...ok('TLS works; no session was opened, since the agent runs') }
      return running.brokerConnected
        ? { ...tls, ...ok('the agent that runs is connected') }
        : { ...tls, ...failed('operator', 'TLS works, but the agent that runs has no session: see its log.') }
    }
    return runCheck('mqtt', subject, { ...of, mender: 'operator' }, async within => {
      await probeBroker(address, identity, within)
      return ok('takes this device')
    })
  }
  const first = await look(set)
  if (set.port === 443) return [first]
  const other = await look({ ...set, port: 443 })
  const works = other.state === 'ok'
  if (first.state === 'failed' && works) {
    const advice = `Port ${set.port} fails, 443 works: set MQTT_URL to mqtts://${set.host}:443. Notices work meanwhile by polling alone.`
    return [{ ...first, ...warning('owner', `${first.message} ${advice}`) }, other]
  }
  // Where the first way is open, the second is not needed.
  return [first, works || first.state === 'failed' ? other : { ...other, ...skipped(`not needed: ${other.message}`) }]
}
