import { setTimeout as delay } from 'node:timers/promises'
import type { KeptUpdate } from '../../state/kept-update.ts'
import { Backoff } from '../../transport/backoff.ts'
import { isRetryable } from '../../transport/call-error.ts'
import type { NodeClient } from '../../transport/node-client.ts'
import { type PushAnswer, pushUpdate } from '../../transport/push-update.ts'
import { verifyReceipt } from '../../transport/receipt.ts'
import type { AgentContext } from '../context.ts'
import type { JobOutcome } from './job-slot.ts'
import { actionFor, type VerdictAction } from './verdict.ts'

/** Lost connections in a row before the check-in has to find out which node to talk to. */
const mostFailures = 3
/** Waits that a node may ask for before the check-in decides again. */
const mostWaits = 20

/**
 * Sends a kept update until its fate is known: durable at the node (`done`, the body stays until the attempt settles),
 * not wanted (`over`, dropped), or to be sent again after a check-in (`again`).
 * @param token gives the newest token for this work
 */
export const sendUpdate = async (
  context: AgentContext,
  client: NodeClient,
  update: KeptUpdate,
  token: () => string,
  options: { resume: boolean; signal: AbortSignal },
): Promise<JobOutcome> => {
  const { updates, endpoints, policy, ledger } = context
  // Metrics are not what was learnt: the owner may keep them.
  const sent = policy.share.metrics ? update : { ...update, metrics: [] }
  const record = (verdict: string): void => {
    const { attempt, bytes, sha256, examples, about } = update
    const metrics = sent.metrics.map(({ name }) => name)
    const told = about === undefined ? {} : { detail: about }
    ledger.record({ kind: 'update', ...attempt, bytes, sha256, examples, metrics, verdict, ...told })
  }
  const log = context.log.child({ attempt: update.attempt })
  const backoff = new Backoff()
  let { resume } = options
  for (let failures = 0, waits = 0; ; ) {
    let answer: PushAnswer
    try {
      const file = updates.bodyFile(update.attempt)
      answer = await pushUpdate(client, token(), sent, file, resume, options.signal)
    } catch (error) {
      options.signal.throwIfAborted()
      failures += 1
      record('no answer')
      log.warn({ err: error, failures }, 'the update did not arrive')
      if (!isRetryable(error)) return 'again'
      if (failures >= mostFailures) {
        endpoints.failed()
        return 'again'
      }
      resume = true
      await backoff.wait(options.signal)
      continue
    }
    const action = actionFor(answer.verdict)
    record('reason' in action ? action.reason : action.kind === 'keep' ? 'accepted' : action.kind)
    if (action.kind !== 'retry' || ++waits > mostWaits) return conclude(context, update, action, answer.nodeCertificate)
    resume = true
    await delay(action.afterMillis, undefined, { signal: options.signal })
  }
}

const conclude = async (
  { updates, endpoints, device, log }: AgentContext,
  update: KeptUpdate,
  action: VerdictAction,
  nodeCertificate: Uint8Array | undefined,
): Promise<JobOutcome> => {
  const { attempt } = update
  switch (action.kind) {
    case 'keep':
      if (nodeCertificate === undefined) return 'again'
      try {
        await verifyReceipt(action.receipt, nodeCertificate, device, update)
      } catch (error) {
        log.warn({ attempt, err: error }, 'the node answered with a receipt that does not hold')
        return 'again'
      }
      await updates.addReceipt(attempt, action.receipt)
      log.info({ attempt, bytes: update.bytes, examples: update.examples }, 'update accepted')
      return 'done'
    case 'drop':
      log[action.fault ? 'error' : 'info']({ attempt, reason: action.reason }, 'update not taken; dropped')
      await updates.drop(attempt)
      return 'over'
    case 'redirect':
      log.info({ attempt, endpoint: action.endpoint }, 'another node has the shard')
      endpoints.redirect(action.endpoint)
      return 'again'
    case 'check-in':
      log.info({ attempt, reason: action.reason }, 'checking in before the update is sent again')
      return 'again'
    case 'retry':
      return 'again'
  }
}
