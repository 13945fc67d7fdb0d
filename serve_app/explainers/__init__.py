"""Why a model answers as it does: LIME, SHAP and integrated gradients. No Ray; what asks is `asking`."""
