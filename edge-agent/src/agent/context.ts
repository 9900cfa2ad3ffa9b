import type { DeviceCondition } from '@tributary/contracts/round'
import type { Logger } from 'pino'
import type { Datasets } from '../data/datasets.ts'
import type { Deployments } from '../deployments/deployments.ts'
import type { PolicyGate } from '../policy/policy-gate.ts'
import type { PythonTrainers } from '../python-worker/python-trainers.ts'
import type { LocalTensors } from '../state/local-tensors.ts'
import type { ObjectCache } from '../state/object-cache.ts'
import type { Outbox } from '../state/outbox.ts'
import type { UpdateStore } from '../state/update-store.ts'
import type { Ledger } from '../status/ledger.ts'
import type { Trainer } from '../training/trainer.ts'
import type { ClockWatch } from '../transport/clock-watch.ts'
import type { Endpoints } from '../transport/endpoints.ts'

/** What every job of the agent works with. */
export type AgentContext = {
  readonly device: string
  readonly endpoints: Endpoints
  /** Tells the owner when this device's clock is off. */
  readonly clock: ClockWatch
  readonly objects: ObjectCache
  readonly updates: UpdateStore
  /** This device's own values of what tasks keep local. */
  readonly local: LocalTensors
  readonly deployments: Deployments
  readonly datasets: Datasets
  readonly trainer: Trainer
  /** Trainers of other frameworks, which the owner installed. */
  readonly python: PythonTrainers
  /** Those that hold now. */
  readonly conditions: () => Promise<readonly DeviceCondition[]>
  /** What the owner lets the device do. */
  readonly policy: PolicyGate
  /** What the node is still to be told. */
  readonly outbox: Outbox
  /** What was sent. */
  readonly ledger: Ledger
  readonly log: Logger
  readonly maxModelBytes: number
}
