"""What a reader operates: a question before each experiment, a figure to explore, a panel to run one's own settings.

Quizzes and explorers compute in the browser and need no kernel; ``base`` says how one JavaScript module serves both the
static page and Jupyter. The "your turn" panel trains for real and needs one.
"""

from coursekit.widgets.gan_explorers import GanPlayground, LatentExplorer
from coursekit.widgets.inception_explorers import BottleneckExplorer, InceptionDesigner
from coursekit.widgets.normalization_explorers import BatchExplorer, LrnExplorer
from coursekit.widgets.quiz import Quiz
from coursekit.widgets.resnet_explorers import DepthExplorer, PathExplorer
from coursekit.widgets.symbol_trainer import SymbolTrainer
from coursekit.widgets.transfer_explorer import TransferExplorer
from coursekit.widgets.your_turn import Interrupted, YourTurn

__all__ = [
    "BatchExplorer",
    "BottleneckExplorer",
    "DepthExplorer",
    "GanPlayground",
    "InceptionDesigner",
    "Interrupted",
    "LatentExplorer",
    "LrnExplorer",
    "PathExplorer",
    "Quiz",
    "SymbolTrainer",
    "TransferExplorer",
    "YourTurn",
]
