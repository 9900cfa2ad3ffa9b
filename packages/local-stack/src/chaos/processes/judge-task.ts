import type { TaskDetail } from '@tributary/contracts/tasks'

export type JudgedTask = Pick<TaskDetail, 'id' | 'state' | 'reason'> & {
  readonly history: readonly Pick<
    TaskDetail['history'][number],
    'round' | 'attempt' | 'state' | 'accepted' | 'modelSha256'
  >[]
}

/** Of the version that the last committed round made. */
export const lastSha256 = ({ history }: JudgedTask): string | null | undefined =>
  history.filter(round => round.state === 'committed').at(-1)?.modelSha256

/**
 * What is wrong with a task that faults came upon, where every round counts with all devices or not at all: an update that was lost, or
 * counted twice, ends in other bytes.
 * @param expected sha256 of the same task's end when nothing was in its way
 */
export const judgeTask = (task: JudgedTask, expected: string | null | undefined): readonly string[] => {
  if (task.state !== 'completed') return [`task ${task.id} is ${task.state}: ${task.reason?.detail}`]
  const found = lastSha256(task)
  if (found === expected) return []
  const accepted = task.history.map(({ round, attempt, state, accepted }) => `${round}/${attempt} ${state} ${accepted}`)
  return [`task ${task.id} ends with ${found}; updates by attempt: ${accepted.join(', ')}`]
}
