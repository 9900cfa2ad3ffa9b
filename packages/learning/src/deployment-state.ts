export type DeploymentState = 'rolling-out' | 'paused' | 'released' | 'rolled-back' | 'superseded'
export type DeploymentEvent = 'advance' | 'pause' | 'resume' | 'release' | 'roll-back' | 'supersede' | 'restore'

/** For each event the states it may come in and the state it leads to. */
export const DEPLOYMENT_MOVES: {
  readonly [E in DeploymentEvent]: { readonly from: readonly DeploymentState[]; readonly to: DeploymentState }
} = {
  /** To the next stage. */
  advance: { from: ['rolling-out'], to: 'rolling-out' },
  pause: { from: ['rolling-out'], to: 'paused' },
  resume: { from: ['paused'], to: 'rolling-out' },
  release: { from: ['rolling-out', 'paused'], to: 'released' },
  'roll-back': { from: ['rolling-out', 'paused', 'released'], to: 'rolled-back' },
  /** By a newer deployment of the model. */
  supersede: { from: ['rolling-out', 'paused', 'released'], to: 'superseded' },
  /** The newer one was rolled back, and this one had been released. */
  restore: { from: ['superseded'], to: 'released' },
}

/** States in which devices serve the version, or are about to. */
export const LIVE_DEPLOYMENT_STATES: readonly DeploymentState[] = ['rolling-out', 'paused', 'released']
