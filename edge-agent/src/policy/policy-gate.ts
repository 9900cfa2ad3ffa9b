import type { Logger } from 'pino'
import { decide, type Refusal, type Situation, type Work } from './decide.ts'
import { closedDeployments, type DeploymentRules, deploymentRules } from './deployment-rules.ts'
import { closedShare, limitsOf, openPolicy, type Policy, type TrainingLimits } from './policy.ts'
import type { PolicyFile } from './policy-file.ts'

const unreadable: Refusal = { rule: 'policy.json cannot be read' }
/** How often work that runs is held against the policy. */
const lookMillis = 10_000

/** Work was stopped, or not begun, since the owner's policy does not allow it. */
export class PolicyRefusedError extends Error {
  override readonly name = 'PolicyRefusedError'
  readonly rule: string

  constructor({ rule }: Refusal) {
    super(`the owner's policy does not allow it: ${rule}`)
    this.rule = rule
  }
}

export type PolicyGateOptions = {
  readonly file: Pick<PolicyFile, 'read'>
  readonly situation: () => Promise<Situation>
  readonly log: Logger
}

/** Everything that the agent does for others passes here: before it is taken up, and while it runs. */
export class PolicyGate {
  readonly #options: PolicyGateOptions
  #policy: Policy = openPolicy
  #fault: string | undefined

  constructor(options: PolicyGateOptions) {
    this.#options = options
  }

  /** The rule that forbids the work now; undefined where none does. */
  async refusal(work: Work): Promise<Refusal | undefined> {
    const policy = await this.#look()
    return policy === undefined ? unreadable : decide(policy, work, await this.#options.situation())
  }

  /** What may be deployed and served here now. */
  async deploymentRules(): Promise<DeploymentRules> {
    const policy = await this.#look()
    return policy === undefined ? closedDeployments(unreadable) : deploymentRules(policy, new Date())
  }

  /** What may leave the device as the file has it now. */
  async shareNow(): Promise<Policy['share']> {
    await this.#look()
    return this.share
  }

  /** What may leave the device, as of the last look; with a broken file nothing but what must. */
  get share(): Policy['share'] {
    return this.#fault === undefined ? this.#policy.share : closedShare
  }

  /** What a process that trains may take, as of the last look. */
  get limits(): TrainingLimits {
    return limitsOf(this.#policy)
  }

  /** Aborts once the policy forbids the work; dispose of it when the work ends. */
  watch(work: Work): Disposable & { readonly signal: AbortSignal } {
    const controller = new AbortController()
    const timer = setInterval(() => {
      this.refusal(work).then(
        refusal => refusal && controller.abort(new PolicyRefusedError(refusal)),
        (error: unknown) => this.#options.log.error({ err: error }, 'the policy could not be looked at'),
      )
    }, lookMillis).unref()
    return { signal: controller.signal, [Symbol.dispose]: () => clearInterval(timer) }
  }

  /** The policy as the file has it now; undefined where it cannot be understood. */
  async #look(): Promise<Policy | undefined> {
    const { file, log } = this.#options
    const state = await file.read()
    if ('fault' in state) {
      if (state.fault !== this.#fault)
        log.error({ fault: state.fault }, "the owner's policy cannot be read: all work is refused")
      this.#fault = state.fault
      return undefined
    }
    if (this.#fault !== undefined) log.info("the owner's policy can be read again")
    this.#fault = undefined
    this.#policy = state.policy
    return state.policy
  }
}
