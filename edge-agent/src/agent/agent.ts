import { setTimeout as delay } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { type Assignment, CheckInRequestSchema, type Settlement } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { protocolRange } from '@tributary/contracts/grpc-service'
import { AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { DeviceStatus } from '@tributary/contracts/topics'
import { Backoff } from '../transport/backoff.ts'
import { isRetryable } from '../transport/call-error.ts'
import { agentVersion } from '../version.ts'
import type { AgentContext } from './context.ts'
import { DatasetReport } from './dataset-report.ts'
import { DeclaredFailures } from './declared-failures.ts'
import { failureOf } from './failure.ts'
import { JobSlot } from './job-slot.ts'
import { type EvaluationFindings, runEvaluation } from './run-evaluation.ts'
import { runTraining } from './run-training.ts'
import { UnknownAttempts } from './unknown-attempts.ts'
import { Wakeup } from './wakeup.ts'
import { type EvaluationJob, readEvaluationWork, readTrainingWork, type TrainingJob } from './work.ts'

/** Check-ins are never closer, whatever notices come, ms. */
const leastGapMillis = 100
const mostPauseMillis = 300_000
const upgradePauseMillis = 60_000
/** Redirects in a row that are followed at once. */
const mostRedirects = 3

/** The life of an agent: ask, do, report. Training and evaluation run beside the check-ins. */
export class Agent {
  readonly #context: AgentContext
  readonly #onStatus: (status: DeviceStatus) => void
  readonly #wakeup = new Wakeup()
  readonly #training: JobSlot<TrainingJob>
  readonly #evaluation: JobSlot<EvaluationJob>
  readonly #datasets: DatasetReport
  readonly #unknown = new UnknownAttempts()
  readonly #failures = new DeclaredFailures()
  #redirects = 0

  /** @param onStatus told whenever the device becomes idle or busy */
  constructor(context: AgentContext, onStatus: (status: DeviceStatus) => void = () => {}) {
    this.#context = context
    this.#onStatus = onStatus
    this.#datasets = new DatasetReport(context.datasets, context.log)
    this.#training = new JobSlot({
      keyOf: job => attemptKey(job.attempt),
      isSupersededBy: isOlderAttempt,
      run: (job, control) =>
        runTraining(context, job, control, failure => this.#failures.declare(control.latest().token, failure)),
      onChange: change => this.#changed(change),
    })
    const findings = new Map<string, EvaluationFindings>()
    this.#evaluation = new JobSlot({
      keyOf: job => job.evaluation,
      isSupersededBy: () => false,
      run: (job, control) =>
        runEvaluation(context, findings, job, control, failure =>
          this.#failures.declare(control.latest().token, failure),
        ),
      onChange: change => this.#changed(change),
    })
  }

  /** Something changed at the node: check in now instead of after the pause. */
  notice(): void {
    this.#wakeup.wake()
  }

  /** Checks in until the signal aborts; resolves when all work has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, endpoints, deployments, python } = this.#context
    const following = deployments.run(signal, () => this.#wakeup.wake())
    const probing = python.probe(signal, () => this.#wakeup.wake())
    const backoff = new Backoff()
    // Refusals do not pass by themselves as lost connections do.
    const refusals = new Backoff(1_000, 15_000)
    while (!signal.aborted) {
      const started = performance.now()
      try {
        const pause = await this.#checkIn(signal)
        // A redirect alone proves nothing: its target may be dead.
        if (this.#redirects === 0) {
          backoff.reset()
          refusals.reset()
        }
        await this.#wakeup.pause(pause * (0.9 + 0.2 * Math.random()), signal)
        await delay(Math.max(0, started + leastGapMillis - performance.now()), undefined, { signal })
      } catch (error) {
        if (signal.aborted) break
        const retryable = isRetryable(error)
        log.warn({ err: error, endpoint: endpoints.endpoint }, 'check-in failed')
        endpoints.failed()
        await (retryable ? backoff : refusals).wait(signal).catch(() => {})
      }
    }
    await Promise.all([
      this.#training.stop('the agent stops'),
      this.#evaluation.stop('the agent stops'),
      following,
      probing,
    ])
  }

  /** One check-in. @returns how long to pause, ms */
  async #checkIn(signal: AbortSignal): Promise<number> {
    const { endpoints, updates, log, conditions, deployments, python } = this.#context
    const training = this.#training.current
    const failed = this.#failures.waiting
    const request = create(CheckInRequestSchema, {
      protocolMin: protocolRange.min,
      protocolMax: protocolRange.max,
      agentVersion,
      datasets: [...(await this.#datasets.read())],
      frameworks: ['onnx', ...python.frameworks],
      holding: updates.list().map(({ attempt }) => attempt),
      // Whoever took the shard over since learns from them that this device was selected.
      receipts: updates.list().flatMap(({ receipt }) => receipt ?? []),
      running: training === undefined ? [] : [{ attempt: training.job.attempt, progress: training.progress }],
      failed,
      conditions: [...(await conditions())],
      deployments: [...deployments.states],
    })
    const { result } = await endpoints.client().checkIn(request, signal)
    if (result.case === 'redirect') {
      const { endpoint, pauseMillis } = result.value
      const moved = endpoints.redirect(endpoint)
      this.#redirects += 1
      log.info({ endpoint }, moved ? 'another node has this shard' : 'nobody has this shard yet')
      return moved && this.#redirects <= mostRedirects ? 0 : pauseOf(pauseMillis)
    }
    this.#redirects = 0
    if (result.case === 'assignment') {
      this.#failures.told(failed)
      await this.#follow(result.value)
      return pauseOf(result.value.pauseMillis)
    }
    if (result.case === 'upgrade') {
      const { protocolMin, protocolMax, minVersion } = result.value
      log.error(
        { node: [protocolMin, protocolMax], agent: protocolRange, minVersion },
        'agent and node speak different protocol versions: upgrade the older one',
      )
    } else {
      log.warn('the node answered with nothing that this agent knows')
    }
    return upgradePauseMillis
  }

  async #follow({ settled, training, evaluation, deployments }: Assignment): Promise<void> {
    const { maxModelBytes } = this.#context
    await this.#settle(settled)
    this.#context.deployments.follow(deployments)
    if (training !== undefined) {
      await this.#take(training.token, () => this.#training.offer(readTrainingWork(training, maxModelBytes)))
    }
    if (evaluation !== undefined) {
      await this.#take(evaluation.token, () => this.#evaluation.offer(readEvaluationWork(evaluation, maxModelBytes)))
    }
  }

  /** Takes one piece of work up; one that is malformed takes nothing else with it. */
  async #take(token: string, offer: () => Promise<void>): Promise<void> {
    try {
      await offer()
    } catch (error) {
      this.#context.log.error({ err: error }, 'work refused')
      this.#failures.declare(token, failureOf(error))
    }
  }

  // Nobody waits for these attempts any more: their training stops at once, and their updates are not needed again.
  async #settle(settlements: readonly Settlement[]): Promise<void> {
    const outcomes = new Map<string, string>()
    for (const { attempt, outcome } of settlements) {
      const ref = AttemptRef.safeParse(attempt)
      if (ref.success) outcomes.set(attemptKey(ref.data), outcome.slice(0, 20))
    }
    const unknown = [...outcomes].filter(([, outcome]) => outcome === 'unknown').map(([key]) => key)
    const forgotten = new Set(this.#unknown.given(new Set(unknown)))
    for (const key of unknown) if (!forgotten.has(key)) outcomes.delete(key)

    const { updates, log } = this.#context
    for (const [key, outcome] of outcomes) await this.#training.cancel(key, `the attempt is ${outcome}`)
    for (const { attempt } of updates.list()) {
      const outcome = outcomes.get(attemptKey(attempt))
      if (outcome === undefined) continue
      await updates.drop(attempt)
      log.info({ attempt, outcome }, 'attempt settled')
    }
  }

  #changed(change: 'started' | 'ended'): void {
    const training = this.#training.current?.job
    const state = training !== undefined ? 'training' : this.#evaluation.current !== undefined ? 'evaluating' : 'idle'
    this.#onStatus({ state, ...(training === undefined ? {} : { attempt: training.attempt }) })
    // Whoever has become free asks for the next work at once.
    if (change === 'ended') this.#wakeup.wake()
  }
}

/** A newer attempt of the same task means that the older one is over. */
const isOlderAttempt = ({ attempt: current }: TrainingJob, { attempt: offered }: TrainingJob): boolean =>
  current.task === offered.task &&
  (offered.round > current.round || (offered.round === current.round && offered.attempt > current.attempt))

const pauseOf = (millis: number): number => Math.min(Math.max(millis, leastGapMillis), mostPauseMillis)
