import { setTimeout as delay } from 'node:timers/promises'
import { create } from '@bufbuild/protobuf'
import { type Assignment, CheckInRequestSchema, type Settlement } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { protocolRange } from '@tributary/contracts/grpc-service'
import { AttemptRef, attemptKey } from '@tributary/contracts/ids'
import type { DeviceStatus } from '@tributary/contracts/topics'
import type { Work } from '../policy/decide.ts'
import { workOfEvaluation, workOfTraining } from '../policy/work-of.ts'
import type { LiveStatus } from '../status/live-status.ts'
import { Backoff } from '../transport/backoff.ts'
import { isRetryable } from '../transport/call-error.ts'
import { explainTimes } from '../transport/certificate-times.ts'
import { agentVersion } from '../version.ts'
import { datasetMessages } from './check-in/dataset-messages.ts'
import { DatasetReport } from './check-in/dataset-report.ts'
import { DeclaredFailures } from './check-in/declared-failures.ts'
import { SentReports } from './check-in/sent-reports.ts'
import { UnknownAttempts } from './check-in/unknown-attempts.ts'
import { Wakeup } from './check-in/wakeup.ts'
import type { AgentContext } from './context.ts'
import { type Failure, failureOf } from './job/failure.ts'
import { guarded } from './job/guarded.ts'
import { builtInFrameworks, inFrameworkOf } from './job/in-framework-of.ts'
import { JobSlot } from './job/job-slot.ts'
import { runEvaluation } from './job/run-evaluation.ts'
import { runTraining } from './job/run-training.ts'
import { type EvaluationJob, readEvaluationWork, readTrainingWork, type TrainingJob } from './job/work.ts'

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
  readonly #failures: DeclaredFailures
  readonly #sent: SentReports
  /** The node asked for what is told of the data sets. */
  #isToDescribe = false
  #redirects = 0
  /** Redirects in a row that led elsewhere. */
  #moves = 0
  #answeredAt: Date | undefined
  #fault: string | undefined
  #refusedBy: string | undefined

  /** @param onStatus told whenever the device becomes idle or busy */
  constructor(context: AgentContext, onStatus: (status: DeviceStatus) => void = () => {}) {
    this.#context = context
    this.#onStatus = onStatus
    this.#datasets = new DatasetReport(context.datasets, context.policy, context.log)
    this.#failures = new DeclaredFailures(context.outbox)
    this.#sent = new SentReports(context.ledger)
    this.#training = new JobSlot({
      keyOf: job => attemptKey(job.attempt),
      isSupersededBy: isOlderAttempt,
      run: (job, control) =>
        guarded(context.policy, workOfTraining(job), control, within =>
          runTraining(context, job, within, failure => this.#declare(within.latest().token, failure)),
        ),
      onChange: change => this.#changed(change),
    })
    this.#evaluation = new JobSlot({
      keyOf: job => job.evaluation,
      isSupersededBy: () => false,
      run: (job, control) =>
        guarded(context.policy, workOfEvaluation(job), control, within =>
          runEvaluation(context, job, within, failure => this.#declare(within.latest().token, failure)),
        ),
      onChange: change => this.#changed(change),
    })
  }

  /** Something changed at the node: check in now instead of after the pause. */
  notice(): void {
    this.#wakeup.wake()
  }

  /** How the agent is now. */
  get status(): Pick<LiveStatus, 'training' | 'evaluation' | 'node' | 'clock' | 'keptUpdates' | 'refusedBy'> {
    const { endpoints, updates } = this.#context
    const [training, evaluation] = [this.#training.current, this.#evaluation.current]
    return {
      training:
        training === undefined
          ? null
          : { attempt: training.job.attempt, dataset: training.job.dataset, progress: training.progress },
      evaluation:
        evaluation === undefined ? null : { evaluation: evaluation.job.evaluation, dataset: evaluation.job.dataset },
      node: {
        endpoint: endpoints.endpoint,
        answeredAt: this.#answeredAt?.toISOString() ?? null,
        fault: this.#fault ?? null,
      },
      clock: this.#context.clock.fault ?? null,
      keptUpdates: updates.list().length,
      refusedBy: this.#refusedBy ?? null,
    }
  }

  /** Jobs at hand. */
  get runningJobs(): number {
    return [this.#training.current, this.#evaluation.current].filter(job => job !== undefined).length
  }

  /** Checks in until the signal aborts; resolves when all work has ended. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, endpoints, deployments, python } = this.#context
    const following = deployments.run(signal, () => this.#wakeup.wake())
    const probing = python.probe(signal, () => this.#wakeup.wake())
    const backoff = new Backoff()
    // Refusals do not pass by themselves as lost connections do.
    const refusals = new Backoff(1_000, 15_000)
    // Nodes that send their devices to each other are left to agree.
    const bounces = new Backoff()
    while (!signal.aborted) {
      const started = performance.now()
      try {
        const pause = await this.#checkIn(signal)
        // A redirect alone proves nothing: its target may be dead.
        if (this.#redirects === 0) {
          backoff.reset()
          refusals.reset()
          bounces.reset()
        }
        await this.#wakeup.pause(pause * (0.9 + 0.2 * Math.random()), signal)
        const gap = this.#moves > mostRedirects ? bounces.next() : leastGapMillis
        await delay(Math.max(0, started + gap - performance.now()), undefined, { signal })
      } catch (error) {
        if (signal.aborted) break
        const retryable = isRetryable(error)
        const clock = explainTimes(error, endpoints.identity.certificate, new Date())
        this.#fault = clock ?? (error as Error).message
        log.warn({ err: error, endpoint: endpoints.endpoint }, clock ?? 'check-in failed')
        if (clock !== undefined) await this.#context.clock.askCentral(signal)
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
    const data = await this.#datasets.read()
    const request = create(CheckInRequestSchema, {
      protocolMin: protocolRange.min,
      protocolMax: protocolRange.max,
      agentVersion,
      ...datasetMessages(data, this.#isToDescribe),
      frameworks: [...builtInFrameworks, ...python.frameworks],
      holding: updates.list().map(({ attempt }) => attempt),
      // Whoever took the shard over since learns from them that this device was selected.
      receipts: updates.list().flatMap(({ receipt }) => receipt ?? []),
      running: training === undefined ? [] : [{ attempt: training.job.attempt, progress: training.progress }],
      failed,
      conditions: [...(await conditions())],
      deployments: [...deployments.states],
    })
    const { response, nodeDate } = await endpoints.client().checkIn(request, signal)
    const { result } = response
    this.#context.clock.compare(nodeDate, 'the node')
    this.#answeredAt = new Date()
    this.#fault = undefined
    this.#sent.told(request, data)
    if (result.case === 'redirect') {
      const { endpoint, pauseMillis } = result.value
      const moved = endpoints.redirect(endpoint)
      this.#redirects += 1
      if (moved) this.#moves += 1
      log.info({ endpoint }, moved ? 'another node has this shard' : 'nobody has this shard yet')
      return moved && this.#redirects <= mostRedirects ? 0 : pauseOf(pauseMillis)
    }
    this.#redirects = 0
    this.#moves = 0
    if (result.case === 'assignment') {
      this.#failures.told(failed)
      this.#isToDescribe = result.value.describeDatasets
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
    const { maxModelBytes, python } = this.#context
    await this.#settle(settled)
    this.#context.deployments.follow(deployments)
    if (training !== undefined) {
      await this.#take(this.#training, training.token, () => {
        const job = inFrameworkOf(python, readTrainingWork(training, maxModelBytes))
        return { job, work: workOfTraining(job), key: attemptKey(job.attempt) }
      })
    }
    if (evaluation !== undefined) {
      await this.#take(this.#evaluation, evaluation.token, () => {
        const job = inFrameworkOf(python, readEvaluationWork(evaluation, maxModelBytes))
        return { job, work: workOfEvaluation(job), key: job.evaluation }
      })
    }
  }

  /** Takes one piece of work up; one that is malformed takes nothing else with it. */
  async #take<Job>(slot: JobSlot<Job>, token: string, read: () => Offered<Job>): Promise<void> {
    const { policy, log } = this.#context
    try {
      const { job, work, key } = read()
      const refusal = await policy.refusal(work)
      this.#refusedBy = refusal?.rule
      if (refusal === undefined) return await slot.offer(job)
      await slot.cancel(key, `the owner's policy does not allow it any more: ${refusal.rule}`)
      log.info({ rule: refusal.rule, task: work.task, kind: work.kind }, "the owner's policy does not allow this work")
      this.#declare(token, { code: 'POLICY_REFUSED', detail: `Rule "${refusal.rule}" of the owner's policy.` })
    } catch (error) {
      log.error({ err: error }, 'work refused')
      this.#declare(token, failureOf(error))
    }
  }

  /** What went wrong goes to the node with the next check-in; in words only where the owner lets words leave. */
  #declare(token: string, failure: Failure | undefined): void {
    const mayTell = failure?.code === 'POLICY_REFUSED' || this.#context.policy.share.logs
    this.#failures.declare(token, failure && (mayTell ? failure : { code: failure.code, detail: '' }))
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

type Offered<Job> = { readonly job: Job; readonly work: Work; readonly key: string }

/** A newer attempt of the same task means that the older one is over. */
const isOlderAttempt = ({ attempt: current }: TrainingJob, { attempt: offered }: TrainingJob): boolean =>
  current.task === offered.task &&
  (offered.round > current.round || (offered.round === current.round && offered.attempt > current.attempt))

const pauseOf = (millis: number): number => Math.min(Math.max(millis, leastGapMillis), mostPauseMillis)
