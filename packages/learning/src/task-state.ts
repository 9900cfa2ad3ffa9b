export type TaskState = 'draft' | 'queued' | 'running' | 'paused' | 'completed' | 'failed' | 'cancelled'
export type TaskEvent = 'start' | 'run' | 'pause' | 'resume' | 'complete' | 'fail' | 'cancel' | 'retry'

/** For each event the states it may come in and the state it leads to. */
export const TASK_MOVES: {
  readonly [E in TaskEvent]: { readonly from: readonly TaskState[]; readonly to: TaskState }
} = {
  start: { from: ['draft'], to: 'queued' },
  run: { from: ['queued'], to: 'running' },
  pause: { from: ['running'], to: 'paused' },
  /** Through the queue: a paused task holds no slot of its regions. */
  resume: { from: ['paused'], to: 'queued' },
  /** From states without a round in flight by stop conditions, since evaluations may arrive in any. */
  complete: { from: ['queued', 'running', 'paused'], to: 'completed' },
  fail: { from: ['queued', 'running', 'paused'], to: 'failed' },
  cancel: { from: ['draft', 'queued', 'running', 'paused'], to: 'cancelled' },
  /** From the last committed round. */
  retry: { from: ['failed'], to: 'queued' },
}

export const FINAL_TASK_STATES: readonly TaskState[] = ['completed', 'failed', 'cancelled']

export function canMoveTask(from: TaskState, event: TaskEvent): boolean {
  return TASK_MOVES[event].from.includes(from)
}
