import { invokedFunction } from '../invocation/invoked-function.ts'
import { sweep } from './sweep.ts'

export const handler = invokedFunction(
  'sweep',
  context =>
    (_payload, { signal }) =>
      sweep(context, signal),
)
