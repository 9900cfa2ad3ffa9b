import { type DeploymentRules, diskRule } from '../policy/deployment-rules.ts'
import type { PolicyGate } from '../policy/policy-gate.ts'
import type { StateReport } from './deployment-book.ts'

/** A version, as far as the policy looks at it. */
type Version = {
  readonly deployment: string
  readonly model: string
  readonly modelName: string
  readonly groups?: readonly string[] | undefined
}

/** Versions that the owner's policy does not let be served now. They are neither pulled nor served, and come back when it does. */
export class Refusals {
  readonly #policy: Pick<PolicyGate, 'deploymentRules'>
  /** By deployment the rule. */
  #rules: ReadonlyMap<string, string> = new Map()
  /** By deployment the limit that it did not fit. */
  readonly #tooLarge = new Map<string, number>()
  #mostBytes: number | undefined

  constructor(policy: Pick<PolicyGate, 'deploymentRules'>) {
    this.#policy = policy
  }

  /** Of the files of all versions, as of the last look; undefined where the owner sets no limit. */
  get mostBytes(): number | undefined {
    return this.#mostBytes
  }

  has(deployment: string): boolean {
    return this.#rules.has(deployment)
  }

  /** Holds what is served or should be against the policy. @returns whether anything is refused, or allowed, that was not */
  async review(versions: readonly Version[]): Promise<boolean> {
    const rules = await this.#policy.deploymentRules()
    const before = [...this.#rules].join()
    this.#mostBytes = rules.mostBytes
    for (const [deployment, limit] of this.#tooLarge) {
      const isOffered = versions.some(version => version.deployment === deployment)
      if (!isOffered || limit !== rules.mostBytes) this.#tooLarge.delete(deployment)
    }
    this.#rules = new Map(versions.flatMap(version => this.#ruleOf(version, rules)))
    return [...this.#rules].join() !== before
  }

  /** A version does not fit into what the owner lets versions take. */
  tooLarge(deployment: string, limit: number): void {
    this.#tooLarge.set(deployment, limit)
    this.#rules = new Map([...this.#rules, [deployment, diskRule]])
  }

  /** What the node is told of a version. */
  stateOf(state: StateReport): StateReport {
    const rule = this.#rules.get(state.deployment)
    if (rule === undefined || state.state === 'rolled-back' || state.state === 'unhealthy') return state
    const { deployment, revision } = state
    return { deployment, revision, state: 'refused', detail: `POLICY_REFUSED: rule "${rule}" of the owner's policy.` }
  }

  #ruleOf(
    { deployment, model: id, modelName: name, groups = [] }: Version,
    rules: DeploymentRules,
  ): [string, string][] {
    const rule = rules.refusal({ model: { id, name }, groups })?.rule
    if (rule !== undefined) return [[deployment, rule]]
    return this.#tooLarge.has(deployment) ? [[deployment, diskRule]] : []
  }
}
