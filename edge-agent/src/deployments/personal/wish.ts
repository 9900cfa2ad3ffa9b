import type { Personalise as PersonaliseMessage } from '@tributary/contracts/gen/tributary/fl/v1/fl_pb'
import { Personalise } from '@tributary/contracts/personalisation'
import * as z from 'zod'

/** What a deployment asks a device to fit the version with, or why this agent cannot. */
export type Wish = Personalise | { readonly fault: string }

/** Checks what came, field by field: a node of a later version may ask for what this agent does not know. */
export const readWish = (message: PersonaliseMessage): Wish => {
  const { dataset, heldOut, localEpochs, batchSize, learningRate, optimizer, loss, frozen } = message
  const parsed = Personalise.safeParse({
    dataset,
    localEpochs,
    batchSize,
    learningRate,
    optimizer,
    frozen,
    ...(heldOut !== '' && { heldOut }),
    ...(loss !== '' && { loss }),
  })
  return parsed.success ? parsed.data : { fault: z.prettifyError(parsed.error).slice(0, 400) }
}
