import { addQuantisedWat } from './add-quantised-wat.ts'
import { addSquaresWat } from './add-squares-wat.ts'
import { firstAboveOneWat, firstBeyondWat } from './first-beyond-wat.ts'
import { f32, f64 } from './float-type.ts'
import { keepMaximumWat } from './keep-maximum-wat.ts'
import { addInt64Wat, addStepWat, meansWat } from './merge-wat.ts'
import { widenWat } from './widen-wat.ts'

/** All kernels as one module in WebAssembly's text format, over a memory that the importer shares between threads. */
export function moduleWat(): string {
  return `(module
  (import "kernels" "memory" (memory 1 65535 shared))
${[f32, f64].map(type => `${addQuantisedWat(type)}\n${firstBeyondWat(type)}\n${addSquaresWat(type)}`).join('\n')}
${firstAboveOneWat()}
${keepMaximumWat()}
${widenWat()}
${addInt64Wat()}
${meansWat()}
${addStepWat()})
`
}
