/** Ends one evaluation. The wall turns it into SP_POLICY_EVALUATION, denies and throws the instance away. */
export class PolicyAbort extends Error {
  override readonly name = 'PolicyAbort';
}
